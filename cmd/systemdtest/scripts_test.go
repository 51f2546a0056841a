package systemdtest

import (
	"os/exec"
	"strings"
	"testing"
)

// Orthanc's user owns the directory of the mount point. Whatever it puts there,
// before the scripts of the package run as root or in the middle, they change
// nothing that is not the mount point.
func TestScriptsFollowNoLinks(t *testing.T) {
	require(t)
	for _, test := range []struct{ name, link, script string }{
		{"to a file, in the middle", "middle secret", "postinst configure 1.0.0"},
		{"to a directory, in the middle", "middle empty", "postinst configure 1.0.0"},
		{"to a file", "first secret", "postinst configure"},
		{"to an empty directory", "first empty", "postinst configure 1.0.0"},
		{"to a full directory", "first full", "postinst configure 1.0.0"},
		{"to nothing", "first nothing", "postinst configure"},
		{"purge to an empty directory", "first empty", "postrm purge"},
		{"purge to a file", "first secret", "postrm purge"},
	} {
		t.Run(test.name, func(t *testing.T) {
			attack := exec.Command("unshare", append([]string{"--mount", "sh", "-eu", "testdata/attack.sh"},
				strings.Fields(test.link+" "+test.script)...)...)
			if out, err := attack.CombinedOutput(); err != nil {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
}
