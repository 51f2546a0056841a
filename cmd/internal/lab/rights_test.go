package lab

import (
	"errors"
	"os"
	"os/exec"
	"slices"
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
	argv := r.Command("sh", "-c", "grep -E '^Umask' /proc/self/status; ulimit -Hc; echo $GOTRACEBACK $ORTHANC_BUCKETFS_HELPER")
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if want := "Umask:\t0077\n0\ncrash\n"; string(out) != want {
		t.Errorf("it runs with\n%s\nwanted\n%s", out, want)
	}
}

// A process that has what the unit does not give is told from one that has not.
func TestCheckOfRights(t *testing.T) {
	r, err := ShippedRights()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		t.Skip("only root can give rights away")
	}
	id := strings.Split(DaemonUser, ":")
	full := []string{"--reuid=" + id[0], "--regid=" + id[1], "--bounding-set=-all", "--no-new-privs"}
	if err := checkOf(t, r, full); err != nil {
		t.Errorf("without any rights: %v", err)
	}
	for i, left := range full {
		if err := checkOf(t, r, slices.Delete(slices.Clone(full), i, i+1)); err == nil {
			t.Errorf("without %s: nothing is found", left)
		}
	}
	if err := checkOf(t, Rights{User: "x", NoNewPrivileges: true, Capabilities: []string{"CAP_CHOWN"}}, full); err == nil {
		t.Error("a unit that gives a capability is taken for one that gives none")
	}
}

// checkOf starts a process by setpriv.
func checkOf(t *testing.T, r Rights, options []string) error {
	t.Helper()
	cmd := exec.Command("setpriv", append(options, "--clear-groups", "--inh-caps=-all", "sh", "-c", "echo; read line")...)
	end, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	checked := r.Check(cmd.Process.Pid)
	end.Close()
	_ = cmd.Wait() // read has met the end of its input
	return checked
}

func TestUnitWithOddDirectives(t *testing.T) {
	for _, line := range []string{"PrivateUsers=yes", "CapabilityBoundingSet=~CAP_SYS_PTRACE", "DynamicUser=yes", `Environment="A=1" B=2`} {
		if _, err := ParseUnit("[Service]\n" + line + "\n"); !errors.Is(err, ErrDirective) || !strings.Contains(err.Error(), line[:4]) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := ParseUnit("[Unit]\nDescription=x\n# [Service]\n[Service]\nType=notify\n[Install]\nWantedBy=y\n"); err != nil {
		t.Error(err)
	}
}
