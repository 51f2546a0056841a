package privileged

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ID is a user and its group.
type ID struct{ UID, GID uint32 }

// ErrNoMapping reports a file system or a kernel that cannot show the files of
// one user as those of another.
var ErrNoMapping = errors.New("its files cannot be shown to another user")

// Clone opens the directory at path for user: with owner's files as user's own.
// It is a mount that nobody else sees, without devices, set-user-id and programs,
// and it ends at other mounts. Where owner is user, a kernel that has no such
// mounts gives the directory itself.
func Clone(path string, owner, user ID) (*os.File, error) {
	dir, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd, err := unix.OpenTree(int(dir.Fd()), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	switch {
	case errors.Is(err, unix.ENOSYS) && owner == user:
		return os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	case errors.Is(err, unix.ENOSYS):
		return nil, fmt.Errorf("%w (open_tree: %w; that takes Linux 5.12)", ErrNoMapping, err)
	case err != nil:
		return nil, os.NewSyscallError("open_tree", err)
	}
	clone := os.NewFile(uintptr(fd), path)
	if err := confine(clone, owner, user); err != nil {
		return nil, errors.Join(err, clone.Close())
	}
	return clone, nil
}

// confine sets what holds in a mount that is not attached anywhere yet.
func confine(clone *os.File, owner, user ID) error {
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}
	if owner != user {
		mapping, err := userNamespace(owner, user)
		if err != nil {
			return fmt.Errorf("%w (user namespace: %w)", ErrNoMapping, err)
		}
		defer mapping.Close()
		attr.Attr_set |= unix.MOUNT_ATTR_IDMAP
		attr.Userns_fd = uint64(mapping.Fd())
	}
	err := unix.MountSetattr(int(clone.Fd()), "", unix.AT_EMPTY_PATH, &attr)
	switch {
	case err == nil, errors.Is(err, unix.ENOSYS) && owner == user:
		return nil
	case owner == user:
		return os.NewSyscallError("mount_setattr", err)
	}
	return fmt.Errorf("%w (mount_setattr: %w; that takes Linux 5.12, and a file system that knows it: NFS and overlay do not)",
		ErrNoMapping, err)
}
