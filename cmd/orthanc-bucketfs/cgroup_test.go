package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/cmd/internal/access"
	"orthanc-bucketfs/cmd/internal/lab"
)

// newGroup makes a control group that limits memory, in MiB, and returns what
// makes commands of the program in it.
func newGroup(t *testing.T, program string, limit int) func(args ...string) *exec.Cmd {
	t.Helper()
	for _, c := range []struct{ parent, file string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, // v1
		{"/sys/fs/cgroup", "memory.max"},                   // v2
	} {
		dir := filepath.Join(c.parent, fmt.Sprintf("orthanc-bucketfs-test-%d-%d", os.Getpid(), limit))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
		// Without O_CREATE: a tree without the controller has no such file.
		file, err := os.OpenFile(filepath.Join(dir, c.file), os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		_, err = fmt.Fprint(file, limit*mib)
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		return func(args ...string) *exec.Cmd {
			enter := []string{"-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, dir, program}
			return exec.Command("sh", append(enter, args...)...)
		}
	}
	t.Skip("no control group that limits memory can be made here")
	return nil
}

func TestControlGroup(t *testing.T) {
	// Without the race detector, which takes several times the memory.
	binary := filepath.Join(t.TempDir(), program)
	if err := lab.Build(t.Context(), binary); err != nil {
		t.Fatal(err)
	}
	t.Run("check", func(t *testing.T) { checkInGroup(t, binary) })
	t.Run("mount", func(t *testing.T) { mountInGroup(t, binary) })
}

func checkInGroup(t *testing.T, binary string) {
	config, _ := writeSite(t, "")
	for _, c := range []struct {
		limit, exit int
		want        string
	}{
		{4000, exitDone, "memory: max_concurrent_input_mib = 1024 takes up to 2176 MiB (2 x 1024 + 128) of"},
		{400, exitDone, "WARN  memory: max_concurrent_input_mib = 1024 takes up to 2176 MiB (2 x 1024 + 128) of 400 MiB"},
		{200, exitFailed, "FAIL  memory: "},
	} {
		cmd := newGroup(t, binary, c.limit)("check", "--config", config)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != c.exit || !strings.Contains(string(out), c.want) {
			t.Errorf("with %d MiB: %v\n%s", c.limit, err, out)
		}
	}
}

// mountInGroup sees that a burst of large files does not end a daemon that may
// have less memory than its configuration says. Those that have waited for memory
// for a minute are refused.
func mountInGroup(t *testing.T, binary string) {
	address := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	s := startCommand(t, newGroup(t, binary, 400), nil, fmt.Sprintf("[metrics]\nlisten = %q", address))
	for name, want := range map[string]float64{"orthanc_bucketfs_budget_limit_bytes": 136 * mib, "go_gc_gomemlimit_bytes": 336 * mib} {
		if got, err := metric(address, name); err != nil || got != want {
			t.Errorf("%s is %v, want %v, error %v", name, got, want, err)
		}
	}
	names, err := access.Names(4)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 90*mib)
	var writers sync.WaitGroup
	for _, name := range names {
		writers.Go(func() {
			if err := access.Store(filepath.Join(s.mountpoint, name), content); err != nil && !errors.Is(err, syscall.ENOMEM) {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.within(t, "the end", func() error { return <-s.ended })
}
