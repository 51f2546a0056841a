package local

import (
	"context"
	"strconv"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Dir is an open directory, for one call.
type Dir struct {
	tree *Tree
	fd   int         // an O_PATH descriptor
	at   *gofs.Inode // where what is in it is shown
}

// Close ends the use of d.
func (d *Dir) Close() {
	if d.fd != d.tree.fd {
		unix.Close(d.fd)
	}
}

// Open opens the directory that names lead to, whose files at shows. As root,
// it must be the owner's, or what the owner cannot touch could be moved there: the
// kernel takes it for the owner's.
func (t *Tree) Open(at *gofs.Inode, names ...string) (*Dir, syscall.Errno) {
	d := &Dir{tree: t, fd: t.fd, at: at}
	for _, name := range names {
		fd, errno := d.sub(name)
		d.Close()
		if errno != 0 {
			return nil, errno
		}
		d.fd = fd
	}
	return d, 0
}

// Make is Open, and makes what is missing, for the owner of the tree.
func (t *Tree) Make(at *gofs.Inode, names ...string) (*Dir, syscall.Errno) {
	d := &Dir{tree: t, fd: t.fd, at: at}
	for _, name := range names {
		fd, errno := d.sub(name)
		if errno == syscall.ENOENT {
			if fd, errno = d.mkdir(name, 0o700, t.Owner); errno == syscall.EEXIST {
				fd, errno = d.sub(name)
			}
		}
		d.Close()
		if errno != 0 {
			return nil, errno
		}
		d.fd = fd
	}
	return d, 0
}

// sub opens a directory of the owner's in d.
func (d *Dir) sub(name string) (fd int, errno syscall.Errno) {
	if fd, errno = openat2(d.fd, name, unix.O_PATH|unix.O_DIRECTORY, 0); errno != 0 {
		return -1, errno
	}
	st, errno := statx(fd)
	if errno == 0 && d.tree.chowns && st.Uid != d.tree.Owner.Uid {
		errno = syscall.EACCES
	}
	if errno != 0 {
		unix.Close(fd)
	}
	return fd, errno
}

// Lookup finds what is called name.
func (d *Dir) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	fd, errno := openat2(d.fd, name, unix.O_PATH, 0)
	if errno != 0 {
		return nil, errno
	}
	defer unix.Close(fd)
	return d.child(ctx, fd, name, out)
}

// child returns the node of what fd stands for and is called name, which is empty
// for what has none.
func (d *Dir) child(ctx context.Context, fd int, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	st, errno := statx(fd)
	if errno != 0 {
		return nil, errno
	}
	d.tree.attr(&st, &out.Attr)
	if name != "" {
		d.tree.census.seen(entry{d.at, name})
	}
	return d.at.NewInode(ctx, &Node{tree: d.tree}, d.tree.identity(&st)), 0
}

// Unlink removes a file.
func (d *Dir) Unlink(name string) syscall.Errno { return d.unlink(name, 0) }

// Rmdir removes an empty directory.
func (d *Dir) Rmdir(name string) syscall.Errno { return d.unlink(name, unix.AT_REMOVEDIR) }

func (d *Dir) unlink(name string, flags int) syscall.Errno {
	err := unix.Unlinkat(d.fd, name, flags)
	if err == nil {
		d.tree.census.gone(entry{d.at, name})
	}
	return toErrno(err)
}

// Rename moves what is called name. A whiteout would leave a device behind.
func (d *Dir) Rename(ctx context.Context, name string, to gofs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0 {
		return syscall.EINVAL
	}
	dest, ok := to.(Destination)
	if !ok {
		return syscall.EXDEV
	}
	newDir, errno := dest.Receive(ctx, newName)
	if errno != 0 {
		return errno
	}
	defer newDir.Close()
	if err := unix.Renameat2(d.fd, name, newDir.fd, newName, uint(flags)); err != nil {
		return toErrno(err)
	}
	if flags&unix.RENAME_EXCHANGE == 0 {
		d.tree.census.gone(entry{d.at, name})
	}
	d.tree.census.seen(entry{newDir.at, newName})
	return 0
}

// Link gives a local file one more name.
func (d *Dir) Link(ctx context.Context, target gofs.InodeEmbedder, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	n, ok := target.(*Node)
	if !ok {
		return nil, syscall.EXDEV
	}
	fd, _, errno := n.find()
	if errno != 0 {
		return nil, errno
	}
	defer unix.Close(fd)
	// By its name in /proc, because AT_EMPTY_PATH took CAP_DAC_READ_SEARCH before Linux 6.10.
	err := unix.Linkat(int(d.tree.proc.Fd()), strconv.Itoa(fd), d.fd, name, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return nil, toErrno(err)
	}
	return d.child(ctx, fd, name, out)
}

// Sync makes the names in d durable.
func (d *Dir) Sync() syscall.Errno {
	fd, errno := openat2(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(fd)
	return toErrno(unix.Fsync(fd))
}
