package server

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// npmBefore bounds the dependencies of an npm package, which names no exact
// versions of them, to what was published by then.
const npmBefore = "2026-11-23"

// NPM installs an npm package at an exact version, written "name@version", and
// returns the directory of the commands of the package and its dependencies.
func NPM(t testing.TB, pkg string) string {
	t.Helper()
	if i := strings.LastIndexByte(pkg, '@'); i <= 0 {
		t.Fatalf("npm package %q has no version: write name@version", pkg)
	}
	dir, err := Cached("npm/"+pkg+"+"+npmBefore, func(dir string) error { return npmInstall(dir, pkg) })
	if err != nil {
		unavailable(t, "no server: %v", err)
	}
	return filepath.Join(dir, "node_modules", ".bin")
}

// npmInstall runs none of the packages' own scripts.
func npmInstall(dir, pkg string) error {
	cmd := exec.Command("npm", "install", "--prefix", dir, "--ignore-scripts", "--before", npmBefore,
		"--omit=dev", "--omit=optional", "--no-save", "--no-audit", "--no-fund", "--no-update-notifier",
		"--loglevel", "error", pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm install %s: %w\n%s", pkg, err, out)
	}
	return nil
}
