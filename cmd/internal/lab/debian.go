package lab

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"orthanc-bucketfs/backends/backendtest/server"
)

// The suites of Debian that have another Orthanc than this machine's: 1.12.7,
// and 1.13 or newer.
const (
	Trixie = "trixie"
	Forky  = "forky"
)

// DICOMweb is the plugin that Debian's orthanc-dicomweb installs.
const DICOMweb = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"

// PostgreSQLIndex is the plugin that Debian's orthanc-postgresql installs for
// the index.
const PostgreSQLIndex = "/usr/share/orthanc/plugins/libOrthancPostgreSQLIndex.so"

//go:embed testdata/debian.sh
var debianRecipe string

//go:embed testdata/inside.sh
var insideScript string

// Debian returns the folder of a Debian of a suite with its
// Orthanc and the plugins named above. It is made once, which takes a minute,
// and is kept in the user's cache. Only root can make it, and run it.
func Debian(suite string) (string, error) {
	if os.Getuid() != 0 {
		return "", fmt.Errorf("only root can run the Orthanc of Debian %s beside this machine's", suite)
	}
	recipe := sha256.Sum256([]byte(debianRecipe))
	return server.Cached(fmt.Sprintf("orthanc-%s-%x", suite, recipe[:6]), func(dir string) error {
		cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-s", "--", dir, suite)
		cmd.Stdin = strings.NewReader(debianRecipe)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w:\n%s", err, out[max(0, len(out)-4096):])
		}
		return nil
	})
}

// inside returns the command that runs argv in the Debian below root, or on
// this machine if root is empty. Of what is mounted on this machine the folders
// are seen there, and what is mounted later if this machine shares its mounts.
func inside(root string, folders []string, argv ...string) []string {
	if root == "" {
		return argv
	}
	return append([]string{"unshare", "--mount", "--propagation", "slave", "sh", "-euc", insideScript, "sh",
		root, strings.Join(folders, "\n")}, argv...)
}
