package local

import (
	"context"
	"crypto/rand"
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
	return d.openMade(ctx, name, out, func() (int, syscall.Errno) {
		fd, errno := d.create(ctx, name, access(flags), mode)
		if errno == syscall.EEXIST && flags&syscall.O_EXCL == 0 {
			errno = syscall.ESTALE // the kernel has not checked the rights on that one
		}
		return fd, errno
	})
}

// Tmpfile makes a file without a name and opens it.
func (d *Dir) Tmpfile(ctx context.Context, flags, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	return d.openMade(ctx, "", out, func() (int, syscall.Errno) {
		return d.createAt(ctx, ".", access(flags)|unix.O_TMPFILE, mode)
	})
}

// openMade returns the node and the handle of what is made.
func (d *Dir) openMade(ctx context.Context, name string, out *fuse.EntryOut, makes func() (int, syscall.Errno)) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	h, flags, errno := d.tree.open(makes)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	child, errno := d.child(ctx, h.(*file).fd, name, out)
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
	return d.child(ctx, fd, name, out)
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
	return d.child(ctx, fd, name, out)
}

// mkdir returns an O_PATH descriptor of a directory that it makes.
func (d *Dir) mkdir(name string, mode uint32, owner fuse.Owner) (int, syscall.Errno) {
	return d.makeFor(owner, name, func(dir int, name string) error { return unix.Mkdirat(dir, name, mode) })
}

// Symlink makes a symbolic link.
func (d *Dir) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	fd, errno := d.makeFor(d.tree.maker(ctx), name, func(dir int, name string) error {
		return unix.Symlinkat(target, dir, name)
	})
	if errno != 0 {
		return nil, errno
	}
	defer unix.Close(fd)
	return d.child(ctx, fd, name, out)
}

// makeFor returns an O_PATH descriptor of what makes makes, for owner. The kernel
// returns none. So as root, that happens where nobody else can put anything in its
// place: in a directory apart, from which it is then moved.
func (d *Dir) makeFor(owner fuse.Owner, name string, makes func(dir int, name string) error) (fd int, errno syscall.Errno) {
	if !d.tree.chowns {
		return makeIn(d.fd, name, makes)
	}
	apart := ".orthanc-bucketfs-" + rand.Text()
	dir, errno := d.openApart(apart)
	if errno != 0 {
		return -1, errno
	}
	defer unix.Unlinkat(d.fd, apart, unix.AT_REMOVEDIR)
	defer unix.Close(dir)
	if fd, errno = makeIn(dir, apart, makes); errno != 0 {
		return -1, errno
	}
	if errno = d.tree.give(fd, owner); errno == 0 {
		errno = toErrno(unix.Renameat2(dir, apart, d.fd, name, unix.RENAME_NOREPLACE))
	}
	if errno != 0 {
		remove(dir, apart)
		unix.Close(fd)
	}
	return fd, errno
}

func makeIn(dir int, name string, makes func(dir int, name string) error) (fd int, errno syscall.Errno) {
	if err := makes(dir, name); err != nil {
		return -1, toErrno(err)
	}
	return openat2(dir, name, unix.O_PATH, 0)
}

// remove removes a file or an empty directory.
func remove(dir int, name string) {
	if unix.Unlinkat(dir, name, 0) != nil {
		_ = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) // what stays is empty, and nobody's but root's
	}
}

// openApart opens a directory that it makes and root alone can enter. Whoever
// exchanges it for another one of root's has gained nothing.
func (d *Dir) openApart(name string) (fd int, errno syscall.Errno) {
	if fd, errno = makeIn(d.fd, name, func(dir int, name string) error { return unix.Mkdirat(dir, name, 0o700) }); errno != 0 {
		return -1, errno
	}
	st, errno := statx(fd)
	if errno == 0 && (st.Uid != uint32(os.Geteuid()) || st.Mode&^0o700 != syscall.S_IFDIR) {
		errno = syscall.ESTALE
	}
	if errno != 0 {
		unix.Close(fd)
	}
	return fd, errno
}
