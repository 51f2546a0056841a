package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// No child gets the daemon's connection to the kernel, or the mount could
// outlive the daemon.
func TestChildrenDoNotHoldTheMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may look at the descriptors of a process that leaves no core dumps")
	}
	s := startServing(t, nil, "")
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err != nil || target != "/dev/fuse" {
			continue
		}
		found++
		info, err := os.ReadFile(strings.Replace(fd, "/fd/", "/fdinfo/", 1))
		if err != nil {
			t.Fatal(err)
		}
		if !closedOnExec(string(info)) {
			t.Errorf("children inherit %s:\n%s", fd, info)
		}
	}
	if found == 0 {
		t.Errorf("none of %d descriptors is the mount's", len(fds))
	}
}

// closedOnExec reads the octal flags of /proc/PID/fdinfo/N (proc(5)).
func closedOnExec(info string) bool {
	for line := range strings.Lines(info) {
		var flags int
		if n, _ := fmt.Sscanf(line, "flags: %o", &flags); n == 1 {
			return flags&syscall.O_CLOEXEC != 0
		}
	}
	return false
}
