package systemdtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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
		{"root's files", checkFilesOfRoot},
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
// Orthanc because the helper has made it.
func checkSandbox(m *machine) {
	pid := m.property(daemon, "MainPID")
	host, own := m.run("readlink", "/proc/1/ns/mnt"), m.run("readlink", "/proc/"+pid+"/ns/mnt")
	if host == own {
		m.Errorf("the daemon is in the mount namespace of the machine: %s", own)
	}
	if mode := m.run("stat", "--format=%a %U", "/run/credentials/"+daemon+"/master-1.key"); mode != "400 orthanc-bucketfs\n" {
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
	m.wantExposure(daemon, 2.5)
	m.wantExposure("orthanc-bucketfs-helper@x.service", 5)
}

// wantExposure compares with what systemd takes the exposure of a unit for.
func (m *machine) wantExposure(unit string, below float64) {
	m.Helper()
	report := strings.Split(strings.TrimSpace(m.run("systemd-analyze", "security", "--no-pager", unit)), "\n")
	m.Log(report[len(report)-1])
	_, text, _ := strings.Cut(report[len(report)-1], unit+": ")
	if level, err := strconv.ParseFloat(strings.Fields(text + " -")[0], 64); err != nil || level >= below {
		m.Errorf("the exposure is not below %v", below)
	}
}

// wantPrivileges looks at the process itself.
func (m *machine) wantPrivileges(pid string) {
	m.Helper()
	status := m.run("cat", "/proc/"+pid+"/status")
	for _, line := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n",
		"CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n"} {
		if !strings.Contains(status, line) {
			m.Errorf("/proc/%s/status has no %q", pid, line)
		}
	}
	if user := m.run("ps", "-o", "user:32=", "-p", pid); strings.TrimSpace(user) != "orthanc-bucketfs" {
		m.Errorf("the daemon runs as %q", user)
	}
	if left, err := m.try("pgrep", "-u", "root", "orthanc-bucket"); err == nil {
		m.Errorf("processes of root's are left: %s", left)
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

// checkFilesOfRoot goes on with a key that systemd does not load, and with what a
// version has left that served the mount as root: the daemon may read neither.
func checkFilesOfRoot(m *machine) {
	before := m.life()
	dropIn := "/etc/systemd/system/" + daemon + ".d/key.conf"
	m.shell("mv " + dropIn + " /var/tmp; systemctl daemon-reload; chown -R root:root /run/orthanc-bucketfs")
	m.write(config, siteConfigOfRoot, 0o600)
	m.run("systemctl", "restart", daemon)
	m.awaitNextLife(before)
	if got := m.run("stat", "--format=%a %U", key, etc, bucket); got != "600 root\n700 root\n700 root\n" {
		m.Errorf("key, configuration and bucket are %s", got)
	}
	if log := m.run("journalctl", "--no-pager", "--unit", daemon); strings.Contains(log, "will not be cleaned up") {
		m.Error("there is no journal of uploads")
	}
	if out, err := m.try("find", bucket, "!", "-user", "root"); err != nil || out != "" {
		m.Errorf("not root's in the bucket: %v: %s", err, out)
	}
	m.reloadsKeyOfRoot()
	m.step("unreadable", checkUnreadableKey)
	before = m.life()
	m.write(config, siteConfig, 0o600)
	m.shell("mv /var/tmp/key.conf " + dropIn + "; systemctl daemon-reload; systemctl restart " + daemon)
	m.awaitNextLife(before)
}

// reloadsKeyOfRoot adds a key that was not there at the start.
func (m *machine) reloadsKeyOfRoot() {
	m.Helper()
	next := etc + "/master-2.key"
	m.run("orthanc-bucketfs", "keygen", next)
	m.write(config, siteConfigOfRoot+"previous_master_keys = [{ id = 2, path = \""+next+"\" }]\n", 0o600)
	m.run("systemctl", "reload", daemon)
	m.await("the new key in the journal", func() error {
		if log := m.run("journalctl", "--no-pager", "--unit", daemon); !strings.Contains(log, "opens also key 2") {
			return errors.New("there is nothing about it")
		}
		return nil
	})
	m.write(config, siteConfigOfRoot, 0o600)
	m.run("rm", next)
}

// checkUnreadableKey is refused once and for all, with what to do.
func checkUnreadableKey(m *machine) {
	m.run("chmod", "640", key)
	m.run("systemctl", "stop", daemon)
	if out, err := m.try("systemctl", "start", daemon); err == nil {
		m.Errorf("it starts: %s", out)
	}
	m.awaitState(daemon, "failed")
	if code := m.property(daemon, "ExecMainStatus"); code != "2" {
		m.Errorf("exit code %s", code)
	}
	m.wantStatus(key, "chmod 600")
	m.run("chmod", "600", key)
	m.startDaemon()
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
