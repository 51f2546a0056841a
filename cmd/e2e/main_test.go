package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orthanc-bucketfs/cmd/internal/lab"
)

// shared is what all tests use; TestMain sets it before any of them runs.
var shared struct {
	missing []string // what the machine lacks; then nothing below is set
	raced   string   // the daemon, built with the race detector
	plain   string   // the daemon as it is shipped
	ports   *lab.Ports
	corpus  []lab.Instance
	image   lab.Instance // one that can be enlarged
}

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (int, error) {
	if shared.missing = lab.Missing(); len(shared.missing) > 0 {
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	shared.plain, shared.raced = filepath.Join(dir, "plain"), filepath.Join(dir, "raced")
	if err := lab.Build(context.Background(), shared.plain); err != nil {
		return 0, err
	}
	if err := lab.Build(context.Background(), shared.raced, "-race"); err != nil {
		return 0, err
	}
	shared.ports = lab.NewPorts()
	if shared.corpus, err = lab.Corpus(); err != nil {
		return 0, err
	}
	if shared.image, err = lab.CorpusFile("MR_small.dcm"); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// require skips the test on a machine that cannot run it, and fails it where
// nothing may be skipped.
func require(t *testing.T) {
	t.Helper()
	switch {
	case len(shared.missing) == 0:
	case os.Getenv("CI") == "true":
		t.Fatalf("this machine lacks:\n%s", strings.Join(shared.missing, "\n"))
	default:
		t.Skipf("this machine lacks:\n%s", strings.Join(shared.missing, "\n"))
	}
}
