package systemdtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/cmd/internal/lab"
)

// TestPackage installs, configures, upgrades, removes and purges the package.
func TestPackage(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.boot()
	m.step("installed", checkInstalled)
	m.run("systemctl", "stop", orthanc)
	m.configure()
	m.run("systemctl", "enable", "--now", daemon)
	m.awaitState(orthanc, "active")
	m.awaitREST()
	corpus, err := lab.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	images := m.store(corpus[:3])
	m.step("upgraded", checkUpgraded)
	m.checkAll(images)
	m.step("removed", checkRemoved)
	m.step("purged", checkPurged)
	m.powerOff()
}

// checkInstalled sees that an installation changes nothing for an Orthanc that
// is not on the mount yet, and that its instructions are complete.
func checkInstalled(m *machine) {
	before := m.property(orthanc, "MainPID")
	output := m.install(firstVersion)
	for _, word := range []string{"keygen", config, "check", "systemctl enable --now orthanc-bucketfs"} {
		if !strings.Contains(output, word) {
			m.Errorf("the installation does not mention %q:\n%s", word, output)
		}
	}
	if after := m.property(orthanc, "MainPID"); after != before || after == "0" {
		m.Errorf("Orthanc was process %s and is %s", before, after)
	}
	m.run("systemctl", "restart", orthanc)
	if state := m.property(daemon, "ActiveState"); state != "inactive" {
		m.Errorf("the daemon is %s without having been enabled", state)
	}
	want := "555 root\n"
	if got := m.run("stat", "--format=%a %U", mountpoint); got != want {
		m.Errorf("the mount point is %s", got)
	}
	if got := m.run("stat", "--format=%a %U", config); got != "600 root\n" {
		m.Errorf("the configuration is %s", got)
	}
	if got := m.run("orthanc-bucketfs", "version"); !strings.Contains(got, "orthanc-bucketfs "+firstVersion+"\n") ||
		strings.Contains(got, "commit unknown") {
		m.Errorf("version: %s", got)
	}
	// What is installed is refused only for what is missing: the key.
	if got, err := m.try("orthanc-bucketfs", "check"); err == nil || !strings.Contains(got, "master-1.key") {
		m.Errorf("check: %v", err)
	}
	m.Log(m.run("dpkg", "--listfiles", "orthanc-bucketfs"))
}

// checkUpgraded sees that an upgrade leaves the configuration, the mount and
// Orthanc alone.
func checkUpgraded(m *machine) {
	before := m.life()
	m.Log(m.install(secondVersion))
	if after := m.life(); after != before {
		m.Errorf("processes %v, before the upgrade %v", after, before)
	}
	if content, err := os.ReadFile(m.path(config)); err != nil || string(content) != siteConfig {
		m.Errorf("configuration %q, error %v", content, err)
	}
	m.awaitREST()
	m.run("systemctl", "restart", daemon)
	m.awaitNextLife(before)
	if journal := m.run("journalctl", "--no-pager", "--unit", daemon); !strings.Contains(journal, "version="+secondVersion) {
		m.Error("after the restart, the new version does not serve the mount")
	}
}

// checkRemoved sees that the removal ends Orthanc and the mount, and that what
// is left is the administrator's.
func checkRemoved(m *machine) {
	kept := m.valuables()
	m.Log(m.run("dpkg", "--remove", "orthanc-bucketfs"))
	if state := m.property(orthanc, "ActiveState"); state != "inactive" {
		m.Errorf("Orthanc is %s", state)
	}
	if out, err := m.try("mountpoint", mountpoint); err == nil {
		m.Error(out)
	}
	if out, err := m.try("touch", mountpoint+"/x"); err == nil {
		m.Errorf("the bare directory can be written to: %s", out)
	}
	m.wantValuables(kept)
	m.run("test", "-f", config)
}

func checkPurged(m *machine) {
	kept := m.valuables()
	m.Log(m.run("dpkg", "--purge", "orthanc-bucketfs"))
	m.wantValuables(kept)
	if _, err := os.Stat(m.path(config)); !os.IsNotExist(err) {
		m.Errorf("the configuration: %v", err)
	}
	if _, err := os.Stat(m.path(mountpoint)); !os.IsNotExist(err) {
		m.Errorf("the mount point: %v", err)
	}
}

// valuables are the key and every object of the bucket, with their sums.
func (m *machine) valuables() string {
	m.Helper()
	return m.shell("find " + key + " " + bucket + " -type f -exec sha256sum {} + | sort")
}

func (m *machine) wantValuables(want string) {
	m.Helper()
	if got := m.valuables(); got != want || strings.Count(got, "\n") < 4 {
		m.Errorf("key and bucket:\n%s\nwere:\n%s", got, want)
	}
}

// The packages of a commit are the same whenever and wherever they are built: a
// checkout has other times.
func TestPackagesAreReproducible(t *testing.T) {
	t.Parallel()
	require(t)
	for _, packager := range []string{"deb", "rpm"} {
		first := built(t, firstVersion, packager)
		if err := os.Chtimes("../../README.md", time.Time{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "package")
		if err := build(dir, firstVersion, packager); err != nil {
			t.Fatal(err)
		}
		one, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(packageIn(t, dir, packager))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, other) {
			t.Errorf("two %s packages of one commit differ", packager)
		}
	}
}
