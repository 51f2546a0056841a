package fs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make what belongs to others")
	}
}

// link makes a symbolic link that belongs to a user.
func link(t *testing.T, target, path string, uid int) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(path, uid, uid); err != nil {
		t.Fatal(err)
	}
}

func TestMountpointWithLinks(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "real"))
	mkdir(t, filepath.Join(dir, "real", "db"))
	link(t, "real", filepath.Join(dir, "relative"), 0)
	link(t, filepath.Join(dir, "relative"), filepath.Join(dir, "absolute"), 0)
	link(t, "../real/../real/db", filepath.Join(dir, "real", "up"), 0)
	link(t, "loop", filepath.Join(dir, "loop"), 0)
	link(t, "nothing", filepath.Join(dir, "dangling"), 0)
	link(t, "real", filepath.Join(dir, "foreign"), 12345)
	link(t, "foreign", filepath.Join(dir, "chain"), 0)
	for path, want := range map[string]error{
		"real/db": nil, "real/./db/": nil, "relative/db": nil, "absolute/db": nil, "real/up": nil, "real/../real/db": nil,
		"loop": unix.ELOOP, "dangling": unix.ENOENT, "missing": unix.ENOENT,
		"foreign": errForeignLink, "foreign/db": errForeignLink, "chain/db": errForeignLink,
	} {
		real, err := realMountpoint(filepath.Join(dir, path))
		if !errors.Is(err, want) || err == nil && real != filepath.Join(dir, "real/db") {
			t.Errorf("%s: %q, %v, want %v", path, real, err, want)
		}
	}
}

// What Orthanc's user puts in the place of the mount point does not lead the
// mount to somewhere else, nor its end.
func TestForeignLinkIsNotMountedOver(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	victim, mountpoint := filepath.Join(dir, "victim"), filepath.Join(dir, "db")
	mkdir(t, victim)
	link(t, victim, mountpoint, 12345)
	if device, err := OpenDevice(mountpoint, 0, 0, false); !errors.Is(err, errForeignLink) {
		t.Errorf("got device %v, error %v", device, err)
		_ = unix.Unmount(victim, unix.MNT_DETACH)
	}
	if _, err := (Options{Mountpoint: mountpoint}).place(); !errors.Is(err, errForeignLink) {
		t.Errorf("mounting by itself: %v", err)
	}
	if err := unix.Mount("none", victim, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(victim, unix.MNT_DETACH) })
	if err := errors.Join(Unmount(mountpoint), Detach(mountpoint)); !errors.Is(err, errForeignLink) {
		t.Errorf("unmounting: %v", err)
	}
	if err := unix.Unmount(victim, 0); err != nil {
		t.Errorf("it was unmounted: %v", err)
	}
}

// A link that root has made is an administrator's way to name a disk.
func TestMountThroughRootsLink(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "disk"))
	link(t, "disk", filepath.Join(dir, "db"), 0)
	mountpoint := filepath.Join(dir, "db")
	device, err := OpenDevice(mountpoint, 0, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if err := Unmount(mountpoint); err != nil {
		t.Error(err)
	}
	if err := Unmount(mountpoint); err == nil {
		t.Error("it was still mounted")
	}
}
