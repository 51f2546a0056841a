package e2e_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"orthanc-bucketfs/cmd/internal/lab"
)

var suites = flag.String("suites", lab.Trixie, "the Debians, with commas between, whose Orthanc is tested beside this machine's")

// eachOrthanc runs a test with this machine's Orthanc, for which the suite is
// empty, and with that of each other Debian.
func eachOrthanc(t *testing.T, test func(t *testing.T, suite string)) {
	t.Helper()
	require(t)
	t.Run("this machine's Orthanc", func(t *testing.T) { test(t, "") })
	for _, suite := range otherDebians() {
		t.Run(suite+"'s Orthanc", func(t *testing.T) { test(t, suite) })
	}
}

func otherDebians() []string { return strings.Split(*suites, ",") }

// debian returns the folder of the Debian of a suite, and skips the test for
// people who are not root.
func debian(t *testing.T, suite string) string {
	t.Helper()
	if suite == "" {
		return ""
	}
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("only root can run the Orthanc of another Debian")
	}
	root, err := lab.Debian(suite)
	if err != nil {
		t.Fatal(err)
	}
	return root
}
