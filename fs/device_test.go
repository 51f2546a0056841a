package fs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A device is mounted for the user that is to serve it, with the options that New
// has, and over nothing that is in a directory.
func TestOpenDevice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	device, err := OpenDevice(dir, 4711, 4712, true)
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	for _, want := range []string{" " + dir + " ro,nosuid,nodev,", "fuse.orthanc-bucketfs orthanc-bucketfs ro,user_id=4711,group_id=4712," +
		"default_permissions,allow_other,max_read=262144"} {
		if err != nil || !strings.Contains(string(table), want) {
			t.Errorf("no %q, error %v", want, err)
		}
	}
	if err := Unmount(dir); err != nil {
		t.Error(err)
	}
	device.Close()
	if err := os.WriteFile(filepath.Join(dir, "image"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "image"), filepath.Join(dir, "missing")} {
		if device, err := OpenDevice(path, 4711, 4712, false); err == nil {
			device.Close()
			t.Errorf("mounted on %s: %v", path, unix.Unmount(path, unix.MNT_DETACH))
		}
	}
}
