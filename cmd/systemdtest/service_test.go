package systemdtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orthanc-bucketfs/cmd/internal/lab"
)

// TestService is the life of one machine: everything that happens to it happens
// to the same images.
func TestService(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	newSite(m)
	corpus, err := lab.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	images := m.store(corpus[:20])
	steps := []struct {
		name string
		do   func(*machine)
	}{
		{"order", checkOrder},
		{"sealed", checkSealed},
		{"sandbox", checkSandbox},
		{"reload", checkReload},
		{"killed", func(m *machine) { m.shortenWatchdog(); m.dies("KILL") }},
		{"hung", checkHung},
		{"panicked", func(m *machine) { m.restoreWatchdog(); m.dies("ABRT") }},
		{"ended by somebody", func(m *machine) { m.dies("TERM") }},
		{"unmounted", checkUnmounted},
		{"aborted", checkAborted},
		{"stop under load", checkStopUnderLoad},
		{"stop in the middle of a file", checkDrain},
		{"refusals", checkRefusals},
		{"reboot", checkReboot},
	}
	for _, step := range steps {
		if !m.step(step.name, func(m *machine) { step.do(m); m.checkAll(images) }) {
			t.FailNow() // what follows builds on it
		}
	}
	m.powerOff()
}

// step is t.Run, with the machine in place of the test.
func (m *machine) step(name string, do func(*machine)) (passed bool) {
	return m.Run(name, func(t *testing.T) {
		inner := *m
		inner.T = t
		defer func() { m.init, m.ended = inner.init, inner.ended }()
		do(&inner)
	})
}

// checkReboot lets systemd stop everything and start it again.
func checkReboot(m *machine) {
	m.powerOff()
	m.boot()
	m.awaitState(orthanc, "active")
	m.awaitREST()
	checkOrder(m)
}

// checkOrder sees that Orthanc was started when the mount was up.
func checkOrder(m *machine) {
	up, started := m.number(daemon, "ActiveEnterTimestampMonotonic"), m.number(orthanc, "ExecMainStartTimestampMonotonic")
	if up == 0 || started < up {
		m.Errorf("Orthanc was started at %d µs, the mount was up at %d µs", started, up)
	}
	if status := m.property(daemon, "StatusText"); !strings.HasPrefix(status, "serving") {
		m.Errorf("status %q", status)
	}
	if owner := m.run("ps", "-o", "user=", "-C", "Orthanc"); strings.TrimSpace(owner) != "orthanc" {
		m.Errorf("Orthanc runs as %q", owner)
	}
}

// checkSealed sees that what Orthanc has stored is in the bucket, and sealed.
func checkSealed(m *machine) {
	objects, err := filepath.Glob(m.path(bucket + "/??/??/*"))
	if err != nil || len(objects) == 0 {
		m.Fatalf("objects %v, error %v", objects, err)
	}
	for _, object := range objects {
		content, err := os.ReadFile(object)
		if err != nil || !bytes.HasPrefix(content, []byte("A1")) || bytes.Contains(content, []byte("DICM")) {
			m.Errorf("%s is not sealed, error %v", object, err)
		}
	}
	files, err := filepath.Glob(m.path(mountpoint + "/*"))
	if err != nil || len(files) > 0 {
		m.Errorf("on the disk below the mount: %v, error %v", files, err)
	}
}

// checkSandbox looks at what the unit has and has not. The mount is seen by
// Orthanc because there is no mount namespace.
func checkSandbox(m *machine) {
	pid := m.property(daemon, "MainPID")
	host, own := m.run("readlink", "/proc/1/ns/mnt"), m.run("readlink", "/proc/"+pid+"/ns/mnt")
	if host != own {
		m.Errorf("the daemon has a mount namespace of its own: %s, the machine's is %s", own, host)
	}
	if mode := m.run("stat", "--format=%a %U", "/run/credentials/"+daemon+"/master-1.key"); mode != "400 root\n" {
		m.Errorf("the credential is %s", mode)
	}
	for name, want := range map[string]string{"LimitCORE": "0", "MemorySwapMax": "0", "NoNewPrivileges": "yes",
		"TimeoutStopUSec": "2min"} { // the drain alone may take 80 s
		if got := m.property(daemon, name); got != want {
			m.Errorf("%s is %q", name, got)
		}
	}
	limits := m.run("cat", "/proc/"+pid+"/limits")
	if fields := strings.Fields(limits[strings.Index(limits, "Max core file size"):]); fields[4] != "0" {
		m.Errorf("core files: %v", fields[:6])
	}
	m.wantPrivileges(pid)
	report := strings.Split(strings.TrimSpace(m.run("systemd-analyze", "security", "--no-pager", daemon)), "\n")
	m.Log(report[len(report)-1])
	if !strings.Contains(report[len(report)-1], "OK") {
		m.Error("the exposure is more than OK")
	}
}

// wantPrivileges looks at the process itself.
func (m *machine) wantPrivileges(pid string) {
	m.Helper()
	status := m.run("cat", "/proc/"+pid+"/status")
	for _, line := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(status, line) {
			m.Errorf("/proc/%s/status has no %q", pid, line)
		}
	}
}

// checkReload changes what can be changed without a restart, there and back.
func checkReload(m *machine) {
	pid := m.property(daemon, "MainPID")
	for _, level := range []string{"debug", "info"} {
		m.write(config, siteConfig+"[log]\nlevel = \""+level+"\"\n", 0o600)
		m.run("systemctl", "reload", daemon)
		m.await("the new level in the journal", func() error {
			if log := m.run("journalctl", "--no-pager", "--unit", daemon); !strings.Contains(log, `msg="reload: log level changed" level=`+level) {
				return fmt.Errorf("there is nothing about %s", level)
			}
			return nil
		})
	}
	m.write(config, siteConfig, 0o600)
	m.awaitState(daemon, "active")
	if now := m.property(daemon, "MainPID"); now != pid {
		m.Errorf("the daemon is %s, was %s", now, pid)
	}
}

// dies ends the daemon by a signal. Both it and Orthanc come back by themselves.
func (m *machine) dies(signal string) {
	before := m.life()
	m.kill(signal)
	m.awaitNextLife(before)
	checkOrder(m)
}

const watchdogDropIn = "/run/systemd/system/" + daemon + ".d/watchdog.conf"

// shortenWatchdog makes the next life of the daemon one with little patience.
func (m *machine) shortenWatchdog() {
	m.Helper()
	m.shell("mkdir -p $(dirname " + watchdogDropIn + "); printf '[Service]\nWatchdogSec=4s\nTimeoutAbortSec=1s\n' >" +
		watchdogDropIn + "; systemctl daemon-reload")
}

func (m *machine) restoreWatchdog() {
	m.Helper()
	m.shell("rm " + watchdogDropIn + "; systemctl daemon-reload")
}

// checkHung stops the daemon where it stands. systemd notices that its watchdog
// is not fed, and replaces it.
func checkHung(m *machine) {
	before := m.life()
	m.kill("STOP")
	m.awaitNextLife(before)
	if log := m.run("journalctl", "--no-pager", "--unit", daemon); !strings.Contains(log, "Watchdog timeout") {
		m.Error("the daemon did not end by the watchdog")
	}
}

// checkUnmounted takes the mount away from below both.
func checkUnmounted(m *machine) {
	before := m.life()
	m.run("umount", "--lazy", mountpoint)
	m.awaitNextLife(before)
}

// checkAborted ends a mount that hangs, as the README says.
func checkAborted(m *machine) {
	before := m.life()
	m.kill("STOP")
	m.shell(`n=$(awk '$5 == "` + mountpoint + `" { split($3, device, ":"); print device[2] }' /proc/self/mountinfo)
echo 1 >/sys/fs/fuse/connections/$n/abort`)
	if out, err := m.try("stat", "--file-system", mountpoint); err == nil {
		m.Errorf("the mount still answers: %s", out)
	}
	m.kill("KILL")
	m.awaitNextLife(before)
}
