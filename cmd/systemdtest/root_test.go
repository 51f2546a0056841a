package systemdtest

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/cmd/internal/lab"
)

//go:embed testdata/root.sh
var rootRecipe string

// require skips the test on a machine that cannot run it, and fails it where
// nothing may be skipped.
func require(t *testing.T) {
	t.Helper()
	missing := missing()
	switch {
	case len(missing) == 0:
	case os.Getenv("CI") == "true":
		t.Fatalf("this machine lacks:\n%s", strings.Join(missing, "\n"))
	default:
		t.Skipf("this machine lacks:\n%s", strings.Join(missing, "\n"))
	}
}

func missing() (missing []string) {
	if os.Getuid() != 0 {
		missing = append(missing, "root's rights for the tests, which boot a systemd")
	}
	for _, tool := range []string{"debootstrap", "unshare", "nsenter", "dpkg-deb", "zsh", "fish"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	for _, path := range []string{"/dev/fuse", lab.CorpusDir} {
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, path)
		}
	}
	return missing
}

// copyRoot returns a folder with a fresh Debian, which is gone after the test.
func copyRoot(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("debian-%x", sha256.Sum256([]byte(rootRecipe)))[:len("debian-")+12]
	cached, err := server.Cached(name, buildRoot)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "machine-")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "root")
	t.Cleanup(func() {
		// The package has made the mount point immutable.
		_ = exec.Command("chattr", "-i", filepath.Join(root, mountpoint)).Run()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if out, err := exec.Command("cp", "--archive", "--reflink=auto", cached, root).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	return root
}

func buildRoot(dir string) error {
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-s", "--", dir)
	cmd.Stdin = strings.NewReader(rootRecipe)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w:\n%s", err, out[max(0, len(out)-4096):])
	}
	return nil
}
