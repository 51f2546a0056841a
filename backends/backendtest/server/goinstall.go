package server

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// GoInstall builds a command of a Go module at an exact version and returns
// the path of its binary. module is "path@version", pkg the import path of the
// command.
func GoInstall(t testing.TB, module, pkg string) string {
	t.Helper()
	_, version, ok := strings.Cut(module, "@")
	if !ok {
		t.Fatalf("module %q has no version: write path@version", module)
	}
	dir, err := Cached(pkg+"@"+version, func(dir string) error {
		return goInstall(dir, pkg+"@"+version)
	})
	if err != nil {
		unavailable(t, "no server: %v", err)
	}
	return filepath.Join(dir, path.Base(pkg))
}

// goInstall runs outside any module, where a version decides all dependencies.
func goInstall(dir, pkg string) error {
	cmd := exec.Command("go", "install", pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go install %s: %w\n%s", pkg, err, out)
	}
	return nil
}
