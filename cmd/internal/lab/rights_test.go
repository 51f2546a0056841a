package lab

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The unit that is shipped is understood to the last directive, and a process
// that is started with its rights has those and no others.
func TestShippedRights(t *testing.T) {
	r, err := ShippedRights()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		t.Skip("only root can give rights away")
	}
	argv := r.Command("sh", "-c", "grep -E '^(Cap|NoNew|Umask)' /proc/self/status; ulimit -Hc; echo $GOTRACEBACK")
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	// Bits of linux/capability.h: CHOWN 0, DAC_OVERRIDE 1, DAC_READ_SEARCH 2,
	// FOWNER 3, FSETID 4, SYS_ADMIN 21.
	const caps = "000000000020001f"
	want := "Umask:\t0077\nCapInh:\t0000000000000000\nCapPrm:\t" + caps + "\nCapEff:\t" + caps + "\nCapBnd:\t" + caps +
		"\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n0\ncrash\n"
	if string(out) != want {
		t.Errorf("it runs with\n%s\nwanted\n%s", out, want)
	}
}

func TestUnitWithOddDirectives(t *testing.T) {
	for _, line := range []string{"PrivateTmp=yes", "CapabilityBoundingSet=~CAP_SYS_PTRACE", "User=orthanc", `Environment="A=1" B=2`} {
		if _, err := ParseUnit("[Service]\n" + line + "\n"); !errors.Is(err, ErrDirective) || !strings.Contains(err.Error(), line[:4]) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := ParseUnit("[Unit]\nDescription=x\n# [Service]\n[Service]\nType=notify\n[Install]\nWantedBy=y\n"); err != nil {
		t.Error(err)
	}
}
