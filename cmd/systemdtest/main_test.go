package systemdtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// The versions of the package that the tests install.
const (
	firstVersion  = "1.0.0"
	secondVersion = "1.0.1"
)

// shared is what all tests use; TestMain sets dir before any of them runs.
var shared struct {
	dir      string
	packages sync.Map // directory -> func() error
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "packages-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared.dir = dir
	return m.Run()
}

// built returns the path of a package of a version, which is built once.
func built(t *testing.T, version, packager string) string {
	t.Helper()
	dir := filepath.Join(shared.dir, version, packager)
	build, _ := shared.packages.LoadOrStore(dir, sync.OnceValue(func() error { return build(dir, version, packager) }))
	if err := build.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return packageIn(t, dir, packager)
}

func build(dir, version, packager string) error {
	make := exec.Command("make", "--no-print-directory", "-C", "../..", "package",
		"PACKAGE_VERSION="+version, "PACKAGE_DIR="+dir, "PACKAGERS="+packager)
	if out, err := make.CombinedOutput(); err != nil {
		return fmt.Errorf("make package: %w:\n%s", err, out)
	}
	return nil
}

func packageIn(t *testing.T, dir, packager string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*."+packager))
	if err != nil || len(found) != 1 {
		t.Fatalf("make package has made %v, error %v", found, err)
	}
	return found[0]
}
