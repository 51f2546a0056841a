package systemdtest

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds everything that must not hang.
const patience = 3 * time.Minute

// pollInterval is how often a machine is asked for a state nothing tells of.
const pollInterval = 50 * time.Millisecond

//go:embed testdata/boot.sh
var bootScript string

// machine is a Debian in a folder, and its systemd while it is booted.
type machine struct {
	*testing.T
	ctx   context.Context
	root  string // the folder
	group string // the control group, from that of this process on

	init  int           // the pid of systemd; 0 while it is off
	ended chan struct{} // closed when it is off again
}

// newMachine returns one that is off, and that is gone after the test.
func newMachine(t *testing.T) *machine {
	t.Helper()
	require(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	m := &machine{T: t, ctx: ctx, root: copyRoot(t)}
	own, err := unifiedGroup()
	if err != nil {
		t.Fatal(err)
	}
	m.group = filepath.Join(own, "orthanc-bucketfs-"+filepath.Base(filepath.Dir(m.root)))
	t.Cleanup(m.close)
	return m
}

// unifiedGroup returns the control group of this process in the hierarchy of
// version 2.
func unifiedGroup() (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		if group, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSuffix(group, "\n"), nil
		}
	}
	return "", errors.Join(errors.New("the kernel has no cgroup version 2"), err)
}

// boot starts systemd and returns when it has started everything.
func (m *machine) boot() {
	m.Helper()
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--kill-child",
		"--propagation", "private", "sh", "-c", bootScript, "boot.sh", m.root, m.group)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	// Its child ends with it, and everything else with that child.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	m.ended = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is about the thread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(m.ended)
		}
	}()
	if err := <-started; err != nil {
		m.Fatal(err)
	}
	m.await("systemd to run", func() error {
		select {
		case <-m.ended:
			m.Fatalf("the machine did not boot: %s", &output)
		default:
		}
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		if err != nil {
			return err
		}
		_, err = fmt.Sscan(string(children), &m.init)
		if err != nil {
			return err
		}
		_, err = m.try("systemctl", "is-system-running", "--wait")
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && strings.Contains(err.Error(), "degraded") {
			return nil // a unit has failed; the test looks at those that matter
		}
		return err
	})
}

// powerOff lets systemd stop everything in order.
func (m *machine) powerOff() {
	m.Helper()
	m.run("systemctl", "poweroff")
	select {
	case <-m.ended:
		m.init = 0
		m.removeGroup()
	case <-m.ctx.Done():
		m.Fatal("the machine does not power off")
	}
}

// close pulls the plug if the machine runs, and shows what it has logged if
// the test has failed.
func (m *machine) close() {
	if m.init == 0 {
		return
	}
	if m.Failed() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		log, err := m.command(ctx, "journalctl", "--no-pager", "--lines=80", "--output=short-precise").CombinedOutput()
		m.Logf("the end of the journal (%v):\n%s", err, log)
	}
	if err := syscall.Kill(m.init, syscall.SIGKILL); err != nil {
		m.Error(err)
	}
	<-m.ended
	m.removeGroup()
}

// removeGroup removes the control groups that a systemd has left, which are
// empty.
func (m *machine) removeGroup() {
	m.Helper()
	script := `mount -t cgroup2 cgroup2 /mnt && find "/mnt$1" -depth -type d -exec rmdir {} +`
	out, err := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", m.group).CombinedOutput()
	if err != nil {
		m.Errorf("removing control groups: %v: %s", err, out)
	}
}

// command is one that runs inside of the machine.
func (m *machine) command(ctx context.Context, argv ...string) *exec.Cmd {
	args := []string{"--target", fmt.Sprint(m.init), "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--",
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	return exec.CommandContext(ctx, "nsenter", append(args, argv...)...)
}

// try returns what a command prints. The error holds it, too.
func (m *machine) try(argv ...string) (string, error) {
	out, err := m.command(m.ctx, argv...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w:\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out), err
}

// run is try for a command that has to succeed.
func (m *machine) run(argv ...string) string {
	m.Helper()
	out, err := m.try(argv...)
	if err != nil {
		m.Fatal(err)
	}
	return out
}

// shell runs a script that has to succeed.
func (m *machine) shell(script string) string {
	m.Helper()
	return m.run("sh", "-euc", script)
}

// await returns as soon as there is no error.
func (m *machine) await(what string, attempt func() error) {
	m.Helper()
	for {
		err := attempt()
		if err == nil {
			return
		}
		select {
		case <-m.ctx.Done():
			m.Fatalf("waiting for %s: %v", what, err)
		case <-time.After(pollInterval):
		}
	}
}

// path returns where a file of the machine is on this one.
func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

// write writes a file of the machine, and makes its directory.
func (m *machine) write(name, content string, mode os.FileMode) {
	m.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
		m.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(content), mode); err != nil {
		m.Fatal(err)
	}
}
