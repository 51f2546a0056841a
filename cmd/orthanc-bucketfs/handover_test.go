package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"orthanc-bucketfs/cmd/internal/privileged"
	"orthanc-bucketfs/fs"
)

// Who serves the mounts of these tests, and whose they are.
const servingUser, imagesUser = 4711, 4700

// withoutRights is a mount that root has started and another user serves.
type withoutRights struct {
	*testing.T
	*exec.Cmd
	dir, config, mountpoint string
	lines                   chan string // of its log
}

// serveWithoutRights returns when the mount is up. top are more keys of the top
// level of the configuration.
func serveWithoutRights(t *testing.T, top string, command func(args ...string) *exec.Cmd) *withoutRights {
	t.Helper()
	s := prepareWithoutRights(t, top)
	s.start(command)
	return s
}

func prepareWithoutRights(t *testing.T, top string) *withoutRights {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root's rights, to give them up")
	}
	needMount(t)
	s := &withoutRights{T: t, lines: make(chan string, 1000)}
	s.config, s.mountpoint = writeSite(t, "")
	s.dir = filepath.Dir(s.mountpoint)
	for name, owner := range map[string]int{"state": 0, "local": imagesUser} {
		path := filepath.Join(s.dir, name)
		if err := errors.Join(os.Mkdir(path, 0o700), os.Chown(path, owner, owner)); err != nil {
			t.Fatal(err)
		}
	}
	s.edit(`owner = ''`, fmt.Sprintf("owner = '%d:%[1]d'\nlocal_dir = '%s/local'\n%s", imagesUser, s.dir, top))
	s.edit(`state_dir = ''`, fmt.Sprintf("state_dir = '%s/state'", s.dir))
	return s
}

func (s *withoutRights) edit(old, text string) {
	s.Helper()
	content, err := os.ReadFile(s.config)
	if err == nil {
		err = os.WriteFile(s.config, []byte(strings.Replace(string(content), old, text, 1)), 0o600)
	}
	if err != nil {
		s.Fatal(err)
	}
}

func (s *withoutRights) start(command func(args ...string) *exec.Cmd) {
	s.Helper()
	s.launch(command)
	s.await("msg=ready")
}

func (s *withoutRights) launch(command func(args ...string) *exec.Cmd) {
	s.Helper()
	s.Cmd = command("mount", "--config", s.config)
	stderr, err := s.StderrPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := s.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		for log := bufio.NewScanner(stderr); log.Scan(); {
			s.lines <- log.Text()
		}
		close(s.lines)
	}()
	s.Cleanup(func() {
		_ = s.Process.Kill()
		for range s.lines {
		}
		_ = s.Wait()
		if isStale(s.mountpoint) {
			_ = fs.Detach(s.mountpoint)
		}
	})
}

// await returns the first line of the log from here on with a text.
func (s *withoutRights) await(text string) string {
	s.Helper()
	var seen strings.Builder
	for deadline := time.After(hang); ; {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.Fatalf("the log ends without %q:\n%s", text, &seen)
			}
			if strings.Contains(line, text) {
				return line
			}
			fmt.Fprintln(&seen, line)
		case <-deadline:
			s.Fatalf("no %q:\n%s", text, &seen)
		}
	}
}

// ended waits for the end, and returns how it was.
func (s *withoutRights) ended() error {
	for range s.lines {
	}
	return s.Wait()
}

func program4711(t *testing.T) func(args ...string) *exec.Cmd {
	return func(args ...string) *exec.Cmd { return programCommand(t, args...) }
}

const user4711 = "user = '4711:4711'"

// as runs a script as Orthanc's user.
func (s *withoutRights) as(script string) (string, error) {
	id := fmt.Sprint(imagesUser)
	cmd := exec.Command("setpriv", "--reuid="+id, "--regid="+id, "--clear-groups", "--bounding-set=-all", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "IMAGE=/proc/self/fd/3/ab/cd/abcd0000-1111-4222-8333-444455556666", "MOUNT=/proc/self/fd/3")
	mount, err := os.Open(s.mountpoint) // the way to it is not for this user
	if err != nil {
		return "", err
	}
	defer mount.Close()
	cmd.ExtraFiles = []*os.File{mount}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

const anObject = "bucket/ab/cd/abcd0000-1111-4222-8333-444455556666"

// The process that serves has no rights at all, and the site is one that root has
// made for itself: key, configuration, bucket and journal.
func TestServedWithoutRights(t *testing.T) {
	s := serveWithoutRights(t, user4711, program4711(t))
	s.wantNoRights()
	if out, err := s.as("echo image >$IMAGE && cat $IMAGE"); err != nil || out != "image\n" {
		t.Errorf("%v: %s", err, out)
	}
	s.wantOwner(anObject, 0)
	if out, err := s.as("sh -c 'exec 4>$IMAGE.tmp; echo x >&4' && cat $IMAGE.tmp"); err != nil || out != "x\n" {
		t.Errorf("a local file: %v: %s", err, out)
	}
	s.wantOwner("local/ab/cd/abcd0000-1111-4222-8333-444455556666.tmp", imagesUser)
	s.stop()
}

// stop ends the mount in order, and sees that nothing of it is left.
func (s *withoutRights) stop() {
	s.Helper()
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		s.Fatal(err)
	}
	if err := s.ended(); err != nil {
		s.Errorf("it ends with %v", err)
	}
	if served, err := isServed(s.mountpoint); served || err != nil {
		s.Errorf("mounted: %v, %v", served, err)
	}
}

func (s *withoutRights) wantNoRights() {
	s.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Pid))
	if err != nil {
		s.Fatal(err)
	}
	for _, line := range []string{"Uid:\t4711\t4711\t4711\t4711\n", "Gid:\t4711\t4711\t4711\t4711\n", "NoNewPrivs:\t1\n",
		"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
		"CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n"} {
		if !strings.Contains(string(text), line) {
			s.Errorf("no %q in\n%s", line, text)
		}
	}
}

func (s *withoutRights) wantOwner(name string, want uint32) {
	s.Helper()
	info, err := os.Stat(filepath.Join(s.dir, name))
	if err != nil {
		s.Error(err)
		return
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != want || st.Gid != want {
		s.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
	}
}

// A writer of another user that is killed is seen to be: what it has written is
// not stored.
func TestKilledWriterIsSeenWithoutRights(t *testing.T) {
	s := serveWithoutRights(t, user4711, program4711(t))
	out, err := s.as(`perl -e 'open(F, ">", $ENV{IMAGE}) or exit 0; syswrite(F, "half") or exit 0; kill 9, $$'`)
	if err == nil {
		t.Fatalf("it was not killed: %s", out)
	}
	if _, err := os.Stat(filepath.Join(s.dir, anObject)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in the bucket: %v", err)
	}
}

// A daemon that is killed leaves a dead mount, in the way of whoever would write
// to the disk below it, and the next one removes that.
func TestKilledWithoutRights(t *testing.T) {
	s := serveWithoutRights(t, user4711, program4711(t))
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.ended()
	if !isStale(s.mountpoint) {
		t.Fatal("the mount is not dead")
	}
	s.lines = make(chan string, 1000)
	s.start(program4711(t))
	s.wantNoRights()
	if out, err := s.as("echo image >$IMAGE && cat $IMAGE"); err != nil || out != "image\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// A new key that is root's is taken over by SIGHUP. What is wrong then changes
// nothing, and does not keep the mount from being removed in the end.
func TestReloadWithoutRights(t *testing.T) {
	s := serveWithoutRights(t, user4711, program4711(t))
	next := writeKeyFile(t, 'b', 0o600)
	old, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.edit("master_key = {", fmt.Sprintf("previous_master_keys = [{ id = 2, path = %q }]\nmaster_key = {", next))
	s.hup()
	if line := s.await("keys changed"); !strings.Contains(line, "opens also key 2") {
		t.Error(line)
	}
	s.hup()
	if line := s.await("reload:"); !strings.Contains(line, "nothing has changed") {
		t.Error(line)
	}
	if err := os.Chmod(next, 0o640); err != nil {
		t.Fatal(err)
	}
	s.hup()
	if line := s.await("everything stays as it is"); !strings.Contains(line, next) || !strings.Contains(line, "chmod 600") {
		t.Error(line)
	}
	if err := os.WriteFile(s.config, append(old, "nonsense"...), 0o600); err != nil {
		t.Fatal(err)
	}
	s.hup()
	s.await("everything stays as it is")
	s.stop()
}

func (s *withoutRights) hup() {
	s.Helper()
	if err := s.Process.Signal(syscall.SIGHUP); err != nil {
		s.Fatal(err)
	}
}

// That somebody takes the mount away is noticed, though this process holds it
// open.
func TestUnmountedBySomebodyElseWithoutRights(t *testing.T) {
	s := serveWithoutRights(t, user4711, program4711(t))
	if err := fs.Detach(s.mountpoint); err != nil {
		t.Fatal(err)
	}
	s.await("was unmounted by somebody else")
	if err := s.ended(); s.ProcessState.ExitCode() != exitFailed {
		t.Errorf("it ends with %v", err)
	}
}

// What is wrong with the configuration, or with a key that root alone can read, is
// said as if this process had read it: with the exit code of a wrong configuration.
func TestWrongConfigurationWithoutRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root's rights, to give them up")
	}
	for text, want := range map[string]string{
		"mountpiont = 'x'\n" + user4711:                   "config.toml:1: mountpiont: unknown key",
		"user = '4711:'":                                  "has no group after the colon",
		user4711 + "\nnonsense":                           "not valid TOML",
		user4711 + "\nlocal_dir = '/nonexistent'":         "create it",
		user4711 + "\nlayout = 'flat'\nkey = \"MISSING\"": "unknown key",
	} {
		config, _ := writeSite(t, "")
		content, err := os.ReadFile(config)
		if err == nil {
			err = os.WriteFile(config, []byte(text+"\n"+string(content)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := programCommand(t, "mount", "--config", config).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v: %s", text, err, out)
		}
	}
}

// Where root's rights cannot be given up, they are kept, and that is said.
func TestRightsThatAreKept(t *testing.T) {
	self, err := os.Executable()
	named := filepath.Join(t.TempDir(), program)
	if err = errors.Join(err, os.Symlink(self, named)); err != nil {
		t.Fatal(err)
	}
	withoutSetUID := func(args ...string) *exec.Cmd {
		return exec.Command("setpriv", append([]string{"--bounding-set=-setuid", named}, args...)...)
	}
	for text, test := range map[string]struct {
		command func(args ...string) *exec.Cmd
		want    string
	}{
		"user = 'nobody-has-this-name'": {program4711(t), "there is no such user"},
		"user = 'root'":                 {program4711(t), "user is root"},
		user4711:                        {withoutSetUID, "CAP_SETUID"},
	} {
		s := prepareWithoutRights(t, text)
		s.launch(test.command)
		if line := s.await("root's rights"); !strings.Contains(line, test.want) {
			t.Errorf("%s: %s", text, line)
		}
		s.await("msg=ready")
	}
}

// The helper works for the user of the configuration, and for root who starts it.
func TestHelperChecksWhoAsks(t *testing.T) {
	cfg := Config{User: "4711:4711"}
	for peer, want := range map[uint32]bool{0: true, 4711: true, 4712: false, 33: false} {
		h := helping{peer: privileged.ID{UID: peer, GID: 4711}}
		if user, err := h.user(cfg); (err == nil) != want || want && user != (privileged.ID{UID: 4711, GID: 4711}) {
			t.Errorf("%d: %v, %v", peer, user, err)
		}
	}
}

// A directory of root's is opened for the daemon where nobody but root can put
// another in its place, and one that is missing is not made for it elsewhere.
func TestDirectoriesOfRootAreGuarded(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	user := privileged.ID{UID: servingUser, GID: servingUser}
	safe, theirs := t.TempDir(), t.TempDir()
	for _, dir := range []string{safe, theirs} {
		if err := os.Mkdir(filepath.Join(dir, "bucket"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(theirs, imagesUser, imagesUser); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{safe + "/bucket": true, theirs + "/bucket": false, theirs: true} {
		f, err := directory{key: "dir.path", path: path}.open(user)
		if (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
		f.Close() // nothing to do without one
	}
	for path, want := range map[string]bool{safe + "/state": true, theirs + "/state": false} {
		f, err := directory{key: "state_dir", path: path}.open(user)
		info, statErr := os.Stat(path)
		if (err == nil) != want || statErr != nil || (info.Sys().(*syscall.Stat_t).Uid == servingUser) != want {
			t.Errorf("%s: %v, %v", path, err, info)
		}
		f.Close()
	}
	// Of a group of root's, too.
	if err := os.Chown(theirs+"/bucket", imagesUser, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := (directory{key: "dir.path", path: theirs + "/bucket"}).open(user); err == nil {
		t.Errorf("opened with a group of root's: %v", f.Close())
	}
	found := checkUser(Config{User: "4711:4711", Owner: "4700:4700", Backend: "dir", Dir: DirBackend{theirs + "/bucket"}})
	if found.Err == nil || !strings.Contains(found.Err.Error(), "chown -R 4711:4711 "+theirs) {
		t.Errorf("check: %+v", found)
	}
}
