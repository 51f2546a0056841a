package fs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// OpenDevice mounts a tree on mountpoint, as root, for a process of another user
// to serve: the descriptor is for its Options.Device. Links that others have put on
// the way to the mount point are refused. Nobody else can serve it, and until
// somebody does, whoever looks at the mount waits.
func OpenDevice(mountpoint string, uid, gid uint32, readOnly bool) (*os.File, error) {
	// Whoever owns the directory above may put a link in its place meanwhile. So
	// it is opened once, and nothing is hidden that is in a directory.
	at, err := openMountpoint(mountpoint)
	if err != nil {
		return nil, fmt.Errorf("mountpoint: %w", err)
	}
	defer at.Close()
	if err := wantEmpty(at); err != nil {
		return nil, fmt.Errorf("mounting on %s: %w", mountpoint, err)
	}
	// A Go file would be known to the runtime's poller, which the kernel refuses
	// before the mount.
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/fuse: %w", err)
	}
	flags := uintptr(syscall.MS_NOSUID | syscall.MS_NODEV)
	if readOnly {
		flags |= syscall.MS_RDONLY
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d,max_read=%d,default_permissions,allow_other",
		fd, syscall.S_IFDIR, uid, gid, maxWrite)
	if err := unix.Mount(name, descriptorPath(at), "fuse."+name, flags, options); err != nil {
		return nil, errors.Join(fmt.Errorf("mounting on %s: %w", mountpoint, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "/dev/fuse"), nil
}

// wantEmpty looks into the very directory that an O_PATH descriptor stands for.
func wantEmpty(at *os.File) error {
	dir, err := os.Open(descriptorPath(at))
	if err != nil {
		return err
	}
	defer dir.Close()
	if _, err := dir.Readdirnames(1); err != io.EOF {
		return errors.Join(errors.New("it is not empty, or no directory"), err)
	}
	return nil
}

// magicMountpoint tells go-fuse to serve a device that was mounted by somebody
// else. The descriptor is go-fuse's from then on.
func magicMountpoint(device *os.File) (string, error) {
	fd, err := unix.FcntlInt(device.Fd(), unix.F_DUPFD_CLOEXEC, 1)
	if err != nil {
		return "", fmt.Errorf("the device of the mount: %w", err)
	}
	return fmt.Sprintf("/dev/fd/%d", fd), device.Close()
}
