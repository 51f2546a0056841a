package systemdtest

import (
	"fmt"
	"os"
	"strings"
)

// stopDaemon stops the daemon, and Orthanc before it.
func (m *machine) stopDaemon() {
	m.Helper()
	m.run("systemctl", "stop", daemon)
	m.wantStopped()
}

func (m *machine) wantStopped() {
	m.Helper()
	for _, unit := range []string{daemon, orthanc} {
		if state := m.property(unit, "ActiveState"); state != "inactive" {
			m.Errorf("%s is %s", unit, state)
		}
	}
	if result := m.property(daemon, "Result"); result != "success" {
		m.Errorf("the daemon's end: %s", result)
	}
	if out, err := m.try("mountpoint", mountpoint); err == nil {
		m.Error(out)
	}
}

// startDaemon starts the daemon, and Orthanc with it.
func (m *machine) startDaemon() {
	m.Helper()
	m.run("systemctl", "start", daemon)
	m.awaitState(orthanc, "active")
	m.awaitREST()
}

// checkRefusals stops both and finds out what keeps Orthanc from running.
func checkRefusals(m *machine) {
	m.run("systemctl", "disable", "--now", daemon)
	m.wantStopped()
	m.run("systemctl", "enable", daemon)
	m.step("bare directory", checkBareDirectory)
	m.step("no mount", checkNoMount)
	m.step("wrong configuration", checkWrongConfiguration)
	m.step("wrong key", checkWrongKey)
}

// checkBareDirectory tries to write where the mount is when there is none.
func checkBareDirectory(m *machine) {
	for _, user := range []string{"orthanc", "root"} {
		for _, attempt := range []string{"mkdir " + mountpoint + "/ab", "touch " + mountpoint + "/x", "mv " + mountpoint + " " + mountpoint + "2"} {
			if _, err := m.try("setpriv", "--reuid="+user, "--regid="+user, "--clear-groups", "sh", "-c", attempt); err == nil {
				m.Errorf("%s may '%s'", user, attempt)
			}
		}
	}
	if entries, err := os.ReadDir(m.path(mountpoint)); err != nil || len(entries) > 0 {
		m.Errorf("on the disk: %v, error %v", entries, err)
	}
}

// checkNoMount makes systemd believe that the daemon runs: the assertion alone
// keeps Orthanc from starting then.
func checkNoMount(m *machine) {
	dropIn := "/run/systemd/system/" + daemon + ".d/fake.conf"
	m.shell("mkdir -p $(dirname " + dropIn + "); printf '[Service]\nType=oneshot\nRestart=no\nRemainAfterExit=yes\nExecStart=\nExecStart=true\n' >" +
		dropIn + "; systemctl daemon-reload; systemctl start " + daemon)
	if out, err := m.try("systemctl", "start", orthanc); err == nil || !strings.Contains(out, "Assertion failed") {
		m.Errorf("without a mount, Orthanc starts: %v", err)
	}
	if state := m.property(orthanc, "ActiveState"); state == "active" {
		m.Error("Orthanc runs without a mount")
	}
	m.shell("systemctl stop " + daemon + "; rm " + dropIn + "; systemctl daemon-reload")
}

// checkWrongConfiguration is refused once and for all, and Orthanc with it.
func checkWrongConfiguration(m *machine) {
	m.write(config, "mountpiont = true\n"+siteConfig, 0o600)
	if out, err := m.try("systemctl", "start", orthanc); err == nil {
		m.Errorf("Orthanc starts without the mount: %s", out)
	}
	m.awaitState(daemon, "failed")
	if code := m.property(daemon, "ExecMainStatus"); code != "2" {
		m.Errorf("exit code %s", code)
	}
	m.wantStatus(config+":1", "mountpiont", "unknown key")
	if state := m.property(orthanc, "ActiveState"); state != "inactive" {
		m.Errorf("Orthanc is %s", state)
	}
	m.write(config, siteConfig, 0o600)
}

// checkWrongKey is refused as well. As it may be an outage for all systemd
// knows, it tries again; when the right key is there, all of it is well again
// without anybody's doing.
func checkWrongKey(m *machine) {
	m.shell("mv " + key + " " + key + ".right; orthanc-bucketfs keygen " + key)
	if out, err := m.try("systemctl", "start", orthanc); err == nil {
		m.Errorf("Orthanc starts without the mount: %s", out)
	}
	m.await("the second attempt", func() error {
		if n := m.number(daemon, "NRestarts"); n == 0 {
			return fmt.Errorf("%d restarts", n)
		}
		return nil
	})
	m.wantStatus("existing files", "opens with the configured keys", "key 1")
	if state := m.property(orthanc, "SubState"); state == "running" {
		m.Error("Orthanc runs with a wrong key")
	}
	m.shell("mv " + key + ".right " + key)
	m.awaitState(daemon, "active")
	m.awaitState(orthanc, "active")
	m.awaitREST()
}

// wantStatus waits until 'systemctl status' tells of something. While a start
// is tried again, it does not.
func (m *machine) wantStatus(words ...string) {
	m.Helper()
	m.await("the reason in the status", func() error {
		status, _ := m.try("systemctl", "status", "--no-pager", "--full", daemon) // 3: not active
		for _, word := range words {
			if !strings.Contains(status, word) {
				return fmt.Errorf("it does not mention %q:\n%s", word, status)
			}
		}
		return nil
	})
}
