package privileged

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What becomes another user has nothing of root's left.
func TestBecome(t *testing.T) {
	needRoot(t)
	if !Holds(Needed()...) {
		t.Fatal("root lacks what it needs")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), scene+"=become")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Groups: []uint32{4, 27}},
		AmbientCaps: []uintptr{unix.CAP_CHOWN}, // inheritable, too
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	status := strings.ReplaceAll(string(out), " ", "")
	for _, line := range []string{"Uid:\t4711\t4711\t4711\t4711\n", "Gid:\t4712\t4712\t4712\t4712\n", "Groups:\t\n", "NoNewPrivs:\t1\n",
		"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
		"CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n"} {
		if !strings.Contains(status, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
}

// Without CAP_SETUID nobody becomes anybody, and that is known before it is tried.
func TestHolds(t *testing.T) {
	needRoot(t)
	cmd := exec.Command("setpriv", "--bounding-set=-setuid", os.Args[0], "-test.run", "^TestBecome$")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "root lacks what it needs") {
		t.Errorf("%v: %s", err, out)
	}
}
