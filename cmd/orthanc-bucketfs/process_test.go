package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"orthanc-bucketfs/fs"
)

// hang is after how long something is taken to hang for ever. No test passes or
// fails by anything nearly as long.
const hang = time.Minute

// programCommand is this program as a process of its own: TestMain makes the
// test's executable act as what it is called.
func programCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = program
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// writeSite writes the configuration of an empty bucket of backend "dir", with
// more at its end, and returns its file.
func writeSite(t *testing.T, more string) (config, mountpoint string) {
	t.Helper()
	dir := t.TempDir()
	mountpoint = filepath.Join(dir, "mount")
	for path, mode := range map[string]os.FileMode{mountpoint: 0o555, filepath.Join(dir, "bucket"): 0o700} {
		if err := os.Mkdir(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf("mountpoint = %q\nbackend = 'dir'\nowner = ''\nstate_dir = ''\ndir.path = %q\n[encryption]\nmaster_key = { id = 1, path = %q }\n%s\n",
		mountpoint, filepath.Join(dir, "bucket"), writeKeyFile(t, 'a', 0o600), more)
	config = filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, mountpoint
}

func needMount(t *testing.T) {
	t.Helper()
	if err := fs.Mountable(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// serving is a daemon that is ready.
type serving struct {
	*exec.Cmd
	mountpoint string
	ended      chan error
}

// startServing starts a daemon with a log that goes to stderr.
func startServing(t *testing.T, stderr *os.File, more string) *serving {
	t.Helper()
	return startCommand(t, func(args ...string) *exec.Cmd { return programCommand(t, args...) }, stderr, more)
}

// startCommand starts a daemon that command makes.
func startCommand(t *testing.T, command func(args ...string) *exec.Cmd, stderr *os.File, more string) *serving {
	t.Helper()
	needMount(t)
	socket := listenAsSystemd(t)
	config, mountpoint := writeSite(t, more)
	s := &serving{Cmd: command("mount", "--config", config), mountpoint: mountpoint, ended: make(chan error, 1)}
	s.Stderr = stderr
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.Wait() }()
	t.Cleanup(func() {
		if s.ProcessState == nil {
			_ = s.Process.Kill()
			<-s.ended
		}
		if isStale(mountpoint) {
			_ = fs.Detach(mountpoint)
		}
	})
	for socket.next() != "READY=1\nSTATUS=serving dir "+filepath.Join(filepath.Dir(mountpoint), "bucket")+" on "+mountpoint {
	}
	return s
}

// within fails the test if do hangs. It then kills the daemon, so that whoever
// waits for it can end.
func (s *serving) within(t *testing.T, what string, do func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	case <-time.After(hang):
		_ = s.Process.Kill()
		t.Fatalf("%s: it hung (%v)", what, <-done)
	}
}
