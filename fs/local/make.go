package local

import (
	"context"
	"os"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// specialBits are those that may give a file's rights to whoever uses it.
const specialBits = syscall.S_ISUID | syscall.S_ISGID | syscall.S_ISVTX

// Create makes a file and opens it.
func (d *Dir) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	return d.openMade(ctx, out, func() (int, syscall.Errno) {
		fd, errno := d.create(ctx, name, access(flags), mode)
		if errno == syscall.EEXIST && flags&syscall.O_EXCL == 0 {
			errno = syscall.ESTALE // the kernel has not checked the rights on that one
		}
		return fd, errno
	})
}

// Tmpfile makes a file without a name and opens it.
func (d *Dir) Tmpfile(ctx context.Context, flags, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	return d.openMade(ctx, out, func() (int, syscall.Errno) {
		return d.createAt(ctx, ".", access(flags)|unix.O_TMPFILE, mode)
	})
}

// openMade returns the node and the handle of what is made.
func (d *Dir) openMade(ctx context.Context, out *fuse.EntryOut, makes func() (int, syscall.Errno)) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	h, flags, errno := d.tree.open(makes)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	child, errno := d.child(ctx, h.(*file).fd, out)
	if errno != 0 {
		h.(*file).Release(ctx)
		return nil, nil, 0, errno
	}
	return child, h, flags, 0
}

// Mknod makes a regular file, and no other kind.
func (d *Dir) Mknod(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if kind := mode & syscall.S_IFMT; kind != syscall.S_IFREG && kind != 0 {
		return nil, syscall.EPERM
	}
	fd, errno := d.create(ctx, name, unix.O_WRONLY, mode&^syscall.S_IFMT)
	if errno != 0 {
		return nil, errno
	}
	defer unix.Close(fd)
	return d.child(ctx, fd, out)
}

// create makes a file for the caller.
func (d *Dir) create(ctx context.Context, name string, flags int, mode uint32) (int, syscall.Errno) {
	return d.createAt(ctx, name, flags|unix.O_CREAT|unix.O_EXCL, mode)
}

func (d *Dir) createAt(ctx context.Context, name string, flags int, mode uint32) (int, syscall.Errno) {
	if mode&specialBits != 0 {
		return -1, syscall.EPERM
	}
	fd, errno := openat2(d.fd, name, flags, mode&0o777)
	if errno != 0 {
		return -1, errno
	}
	if errno := d.tree.give(fd, d.tree.maker(ctx)); errno != 0 {
		unix.Close(fd)
		return -1, errno
	}
	return fd, 0
}

// maker returns to whom belongs what is made.
func (t *Tree) maker(ctx context.Context) fuse.Owner {
	if caller, ok := fuse.FromContext(ctx); ok {
		return caller.Owner
	}
	return t.Owner
}

// give gives what was just made away.
func (t *Tree) give(fd int, to fuse.Owner) syscall.Errno {
	if !t.chowns {
		return 0
	}
	return toErrno(unix.Fchownat(fd, "", int(to.Uid), int(to.Gid), unix.AT_EMPTY_PATH))
}

// Mkdir makes a directory.
func (d *Dir) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if mode&specialBits != 0 {
		return nil, syscall.EPERM
	}
	fd, errno := d.mkdir(name, mode&0o777, d.tree.maker(ctx))
	if errno != 0 {
		return nil, errno
	}
	defer unix.Close(fd)
	return d.child(ctx, fd, out)
}

// mkdir returns an O_PATH descriptor of a directory that it makes.
func (d *Dir) mkdir(name string, mode uint32, owner fuse.Owner) (fd int, errno syscall.Errno) {
	var begin unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &begin); err != nil {
		return -1, toErrno(err)
	}
	if err := unix.Mkdirat(d.fd, name, mode); err != nil {
		return -1, toErrno(err)
	}
	return d.giveMade(name, owner, func(st *unix.Statx_t) bool {
		return st.Mode&syscall.S_IFMT == syscall.S_IFDIR && bornSince(st, begin)
	})
}

// bornSince tells a directory that was just made from one of root's that
// somebody has put in its place, to get that one: the kernel returns no descriptor
// of what it makes. In the file systems' clock, nothing else is as young.
func bornSince(st *unix.Statx_t, begin unix.Timespec) bool {
	if st.Mask&unix.STATX_BTIME == 0 {
		return false
	}
	return st.Btime.Sec > begin.Sec || st.Btime.Sec == begin.Sec && int64(st.Btime.Nsec) >= begin.Nsec
}

// Symlink makes a symbolic link.
func (d *Dir) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if err := unix.Symlinkat(target, d.fd, name); err != nil {
		return nil, toErrno(err)
	}
	fd, errno := d.giveMade(name, d.tree.maker(ctx), func(st *unix.Statx_t) bool {
		return st.Mode&syscall.S_IFMT == syscall.S_IFLNK // whose it is matters to nobody
	})
	if errno != 0 {
		return nil, errno
	}
	defer unix.Close(fd)
	return d.child(ctx, fd, out)
}

// giveMade gives what has been made as name away, and returns an O_PATH
// descriptor of it. If it is not what was made, it stays as it is.
func (d *Dir) giveMade(name string, to fuse.Owner, isMade func(*unix.Statx_t) bool) (fd int, errno syscall.Errno) {
	if fd, errno = openat2(d.fd, name, unix.O_PATH, 0); errno != 0 {
		return -1, errno
	}
	st, errno := statx(fd)
	if errno == 0 && d.tree.chowns && st.Uid != to.Uid && (st.Uid != uint32(os.Geteuid()) || !isMade(&st)) {
		errno = syscall.ESTALE
	}
	if errno == 0 {
		errno = d.tree.give(fd, to)
	}
	if errno != 0 {
		unix.Close(fd)
	}
	return fd, errno
}
