package privileged

import (
	"fmt"
	"os"
	"testing"
)

// scene is what a child of the tests is to do.
const scene = "ORTHANC_BUCKETFS_TEST_SCENE"

func TestMain(m *testing.M) {
	if Hold() {
		return
	}
	switch os.Getenv(scene) {
	case "become":
		fmt.Fprintln(os.Stderr, Become(ID{4711, 4712}, []string{scene + "=show"}))
		os.Exit(1)
	case "show":
		status, _ := os.ReadFile("/proc/self/status")
		os.Stdout.Write(status)
		return
	}
	os.Exit(m.Run())
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}
