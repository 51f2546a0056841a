package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"orthanc-bucketfs/cmd/internal/lab"
)

// attachment is where these tests keep a file, in mount and bucket alike.
const attachment = "ab/cd/abcd0000-1111-4222-8333-444455556666"

// newSite is a mount without an Orthanc.
func newSite(t *testing.T) (context.Context, *lab.Site) {
	t.Helper()
	require(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	site, err := lab.NewSite(ctx, shared.raced, t.TempDir(), 16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Detach(); err != nil {
			t.Error(err)
		}
	})
	return ctx, site
}

// patientContext returns one that lasts longer than patience by more.
func patientContext(t *testing.T, more time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience+more)
	t.Cleanup(cancel)
	return ctx
}

func mustMount(t *testing.T, ctx context.Context, site *lab.Site) *lab.Process {
	t.Helper()
	daemon, err := site.Mount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Kill() })
	return daemon
}

// command runs the daemon's binary and returns what it prints and its exit
// code.
func command(t *testing.T, ctx context.Context, site *lab.Site, name string, operands ...string) (string, int) {
	t.Helper()
	args := append([]string{name, "--config", filepath.Join(site.Dir, "config.toml")}, operands...)
	out, err := exec.CommandContext(ctx, site.Binary, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil {
		return string(out), 0
	}
	return string(out), exit.ExitCode()
}

// wantRefusal proves that both check and mount fail, and say why.
func wantRefusal(t *testing.T, ctx context.Context, site *lab.Site, words ...string) {
	t.Helper()
	for _, name := range []string{"check", "mount"} {
		out, code := command(t, ctx, site, name)
		if code != 1 {
			t.Errorf("%s exits with %d:\n%s", name, code, out)
		}
		for _, word := range words {
			if !strings.Contains(out, word) {
				t.Errorf("%s does not mention %q:\n%s", name, word, out)
			}
		}
	}
	if mounted, err := site.Mounted(); mounted || err != nil {
		t.Errorf("mounted: %v, %v", mounted, err)
	}
}

func storeFile(t *testing.T, path string, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// SIGTERM and SIGINT: new files are refused, the one that is being written is
// finished, and the daemon unmounts and exits with 0.
func TestStopFinishesWhatIsBeingWritten(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			ctx, site := newSite(t)
			daemon := mustMount(t, ctx, site)
			path := filepath.Join(site.Mountpoint(), attachment)
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString("first half, "); err != nil {
				t.Fatal(err)
			}
			if err := daemon.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := daemon.Await(ctx, "msg=\"stopping"); err != nil {
				t.Fatal(err)
			}
			for refused := false; !refused && ctx.Err() == nil; {
				other, err := os.OpenFile(filepath.Join(filepath.Dir(path), strings.Replace(filepath.Base(path), "6666", "7777", 1)), os.O_WRONLY|os.O_CREATE, 0o600)
				if refused = err != nil; !refused {
					other.Close() // the daemon had not come that far
				}
			}
			if _, err := f.WriteString("second half"); err != nil {
				t.Error(err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if err := daemon.Err(); err != nil {
				t.Errorf("the daemon ended with %v:\n%s", err, daemon.Log)
			}
			if mounted, err := site.Mounted(); mounted || err != nil {
				t.Errorf("still mounted: %v, %v", mounted, err)
			}
			content, err := site.Unseal(ctx, site.Bucket().Path(attachment))
			if err != nil || string(content) != "first half, second half" {
				t.Errorf("in the bucket: %q, %v", content, err)
			}
		})
	}
}

// A second signal ends it at once; what was being written was not
// acknowledged, and is not in the bucket.
func TestSecondSignal(t *testing.T) {
	ctx, site := newSite(t)
	daemon := mustMount(t, ctx, site)
	f, err := os.OpenFile(filepath.Join(site.Mountpoint(), attachment), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := daemon.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Await(ctx, "msg=\"stopping"); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if daemon.Err() == nil {
		t.Error("a daemon that gave up a file exits with 0")
	}
	if _, err := os.Stat(site.Bucket().Path(attachment)); !os.IsNotExist(err) {
		t.Errorf("in the bucket: %v", err)
	}
}

// What a killed daemon leaves is "Transport endpoint is not connected"; the
// next one cleans it up.
func TestDeadMountIsCleaned(t *testing.T) {
	ctx, site := newSite(t)
	path := filepath.Join(site.Mountpoint(), attachment)
	daemon := mustMount(t, ctx, site)
	storeFile(t, path, "content")
	for range 2 {
		if err := daemon.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, syscall.ENOTCONN) {
			t.Fatalf("the mount is not dead: %v", err)
		}
		if out, code := command(t, ctx, site, "check"); code != 0 || !strings.Contains(out, "dead mount") {
			t.Errorf("check exits with %d:\n%s", code, out)
		}
		daemon = mustMount(t, ctx, site)
		if content, err := os.ReadFile(path); err != nil || string(content) != "content" {
			t.Errorf("%q, %v", content, err)
		}
	}
	if err := daemon.Stop(ctx); err != nil {
		t.Error(err)
	}
	if mounted, err := site.Mounted(); mounted || err != nil {
		t.Errorf("a dead mount is left below: %v, %v", mounted, err)
	}
}

func TestUnmountedBySomebodyElse(t *testing.T) {
	ctx, site := newSite(t)
	daemon := mustMount(t, ctx, site)
	if err := site.Detach(); err != nil {
		t.Fatal(err)
	}
	if daemon.Err() == nil || !strings.Contains(daemon.Log.String(), "unmounted by somebody else") {
		t.Errorf("the daemon ended with %v:\n%s", daemon.Err(), daemon.Log)
	}
}

func TestMountRefuses(t *testing.T) {
	t.Run("a second daemon", func(t *testing.T) {
		ctx, site := newSite(t)
		daemon := mustMount(t, ctx, site)
		for _, name := range []string{"check", "mount"} {
			if out, code := command(t, ctx, site, name); code != 1 || !strings.Contains(out, "mounted there already") {
				t.Errorf("%s exits with %d:\n%s", name, code, out)
			}
		}
		storeFile(t, filepath.Join(site.Mountpoint(), attachment), "content") // the first still works
		if err := daemon.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Run("another key under the same id", func(t *testing.T) {
		ctx, site := newSite(t)
		daemon := mustMount(t, ctx, site)
		storeFile(t, filepath.Join(site.Mountpoint(), attachment), "content")
		if err := daemon.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(site.Key()); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(site.Binary, "keygen", site.Key()).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		wantRefusal(t, ctx, site, "existing files", "key 1")
	})
	t.Run("a directory that is not empty", func(t *testing.T) {
		ctx, site := newSite(t)
		storeFile(t, filepath.Join(site.Mountpoint(), "old"), "image")
		wantRefusal(t, ctx, site, "not empty", site.Mountpoint())
	})
	t.Run("a missing bucket", func(t *testing.T) {
		ctx, site := newSite(t)
		if err := os.Remove(site.Bucket().Dir); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, ctx, site, site.Bucket().Dir, "create it")
	})
	t.Run("a missing mount point", func(t *testing.T) {
		ctx, site := newSite(t)
		if err := os.Remove(site.Mountpoint()); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, ctx, site, site.Mountpoint(), "create the directory")
	})
}

// One damaged object among others is named, and does not keep the PACS down.
func TestOneDamagedObjectDoesNotStopTheStart(t *testing.T) {
	ctx, site := newSite(t)
	daemon := mustMount(t, ctx, site)
	other := strings.Replace(attachment, "ab", "00", 2)
	storeFile(t, filepath.Join(site.Mountpoint(), attachment), "content")
	storeFile(t, filepath.Join(site.Mountpoint(), other), "content")
	if err := daemon.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := flip(site.Bucket().Path(other), 80); err != nil {
		t.Fatal(err)
	}
	if out, code := command(t, ctx, site, "check"); code != 0 || !strings.Contains(out, "DAMAGED") || !strings.Contains(out, other) {
		t.Errorf("check exits with %d:\n%s", code, out)
	}
	daemon = mustMount(t, ctx, site)
	if log := daemon.Log.String(); !strings.Contains(log, "DAMAGED") || !strings.Contains(log, other) {
		t.Errorf("the log does not name the object:\n%s", log)
	}
	if err := daemon.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// check leaves nothing behind, and mounts nothing.
func TestCheck(t *testing.T) {
	ctx, site := newSite(t)
	out, code := command(t, ctx, site, "check")
	if code != 0 || strings.Contains(out, "FAIL") || !strings.Contains(out, "fingerprint") {
		t.Errorf("check exits with %d:\n%s", code, out)
	}
	if files, err := site.Bucket().Files(); err != nil || len(files) != 0 {
		t.Errorf("in the bucket: %v, %v", files, err)
	}
	if mounted, err := site.Mounted(); mounted || err != nil {
		t.Errorf("mounted: %v, %v", mounted, err)
	}
}

// Without root it mounts with fusermount3, and says so when that is missing.
func TestWithoutRoot(t *testing.T) {
	require(t)
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("only root can become another user; the other tests have just shown this user's case")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	site := nobodysSite(t, ctx)
	out, err := asNobody(ctx, site, "/nonexistent").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "install the package fuse3") {
		t.Errorf("without fusermount3 it ends with %v:\n%s", err, out)
	}
	cmd := asNobody(ctx, site, os.Getenv("PATH"))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	var log []string
	for ready := false; !ready && lines.Scan(); {
		log = append(log, lines.Text())
		ready = strings.Contains(lines.Text(), "msg=ready")
	}
	wantHardened(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	for lines.Scan() {
		log = append(log, lines.Text())
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(strings.Join(log, "\n"), "msg=ready") {
		t.Errorf("it ended with %v:\n%s", err, strings.Join(log, "\n"))
	}
}

// A container, or whoever else has a mount namespace of its own that it was copied
// to, keeps a mount alive. The daemon ends nevertheless, and with it the copy.
func TestStopWhileMountedElsewhere(t *testing.T) {
	ctx, site := newSite(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can make a mount namespace")
	}
	daemon := mustMount(t, ctx, site)
	elsewhere := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "sh", "-c",
		`ls "$0" >&2 && echo ready && read line; ls "$0" >&2`, site.Mountpoint())
	stdin, err := elsewhere.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := elsewhere.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the other namespace says %q", lines.Text())
	}
	if err := daemon.Stop(ctx); err != nil {
		t.Error(err)
	}
	if !strings.Contains(daemon.Log.String(), "mount namespace") {
		t.Error("nothing is said of the other namespace")
	}
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := elsewhere.Wait(); err == nil {
		t.Error("the copy of the mount is still served")
	}
}

// asNobody runs mount as a user without rights, who may open /dev/fuse as
// everybody may on a common machine: in a mount namespace of its own, with a
// device of its own. It may leave core dumps, if it wants to.
func asNobody(ctx context.Context, site *lab.Site, path string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "sh", "-ec", `
		mknod -m 666 "$DIR/fuse.$$" c 10 229
		mount --bind "$DIR/fuse.$$" /dev/fuse
		ulimit -c unlimited
		exec setpriv --reuid=65534 --regid=65534 --clear-groups env PATH="$USERS_PATH" "$BINARY" mount --config "$DIR/config.toml"`)
	cmd.Env = append(os.Environ(), "DIR="+site.Dir, "BINARY="+site.Binary, "USERS_PATH="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

const nobody = 65534

// nobodysSite is a site, and a copy of the binary, where everybody can get to;
// it belongs to nobody.
func nobodysSite(t *testing.T, ctx context.Context) *lab.Site {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "orthanc-bucketfs-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary := filepath.Join(dir, "orthanc-bucketfs")
	if err := lab.Build(ctx, binary); err != nil {
		t.Fatal(err)
	}
	site, err := lab.NewSite(ctx, binary, dir, 16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Detach(); err != nil {
			t.Error(err)
		}
	})
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, nobody, nobody))
	})
	if err != nil {
		t.Fatal(err)
	}
	return site
}
