package privileged

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A path is guarded if nobody but root can put something else in its place.
func TestGuarded(t *testing.T) {
	needRoot(t)
	top := t.TempDir()
	mkdir := func(name string, mode os.FileMode, uid int) string {
		path := filepath.Join(top, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(to, name string) string {
		path := filepath.Join(top, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, theirs := mkdir("good", 0o755, 0), mkdir("theirs", 0o755, owner)
	mkdir("good/bucket", 0o700, 0)
	mkdir("good/given", 0o700, owner) // whose it is itself does not matter
	mkdir("theirs/bucket", 0o700, 0)
	open, sticky := mkdir("open", 0o777, 0), mkdir("sticky", 0o777|os.ModeSticky, 0)
	mkdir("open/bucket", 0o700, 0)
	mkdir("sticky/bucket", 0o700, 0)
	for path, reason := range map[string]string{
		good + "/bucket":                         "",
		good + "/given":                          "",
		sticky + "/bucket":                       "",
		link(good+"/bucket", "link"):             "",
		theirs + "/bucket":                       theirs + " belongs to user",
		open + "/bucket":                         open + " can be written to",
		link(theirs+"/bucket", "indirect"):       theirs + " belongs to user",
		link(theirs, "linked") + "/bucket":       theirs + " belongs to user",
		link(good, "theirs/through") + "/bucket": theirs + " belongs to user",
		filepath.Join(good, "missing"):           "no such file",
	} {
		err := Guarded(path)
		if (err == nil) != (reason == "") || err != nil && !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, wanted %q", path, err, reason)
		}
	}
}
