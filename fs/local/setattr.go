package local

import (
	"context"
	"strconv"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

var _ = (gofs.NodeGetattrer)((*Node)(nil))

func (n *Node) Getattr(_ context.Context, f gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	_, st, done, errno := n.use(f)
	if errno != 0 {
		return errno
	}
	defer done()
	n.tree.attr(&st, &out.Attr)
	return 0
}

// use returns a descriptor of n: that of f, if it is a file that is open, which
// may have no name any more.
func (n *Node) use(f gofs.FileHandle) (fd int, st unix.Statx_t, done func(), errno syscall.Errno) {
	if open, ok := f.(*file); ok {
		st, errno = statx(open.fd)
		return open.fd, st, func() {}, errno
	}
	fd, st, errno = n.find()
	return fd, st, func() { unix.Close(fd) }, errno
}

var _ = (gofs.NodeSetattrer)((*Node)(nil))

func (n *Node) Setattr(_ context.Context, f gofs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if n.tree.ReadOnly {
		return syscall.EROFS
	}
	fd, st, done, errno := n.use(f)
	if errno != 0 {
		return errno
	}
	defer done()
	if errno := n.tree.change(fd, &st, in); errno != 0 {
		return errno
	}
	if st, errno = statx(fd); errno != 0 {
		return errno
	}
	n.tree.attr(&st, &out.Attr)
	return 0
}

// change does what in says, sizes before times, which a change of size sets.
func (t *Tree) change(fd int, st *unix.Statx_t, in *fuse.SetAttrIn) syscall.Errno {
	for _, part := range []func(int, *unix.Statx_t, *fuse.SetAttrIn) syscall.Errno{t.chmod, t.chown, t.truncate, t.utimes} {
		if errno := part(fd, st, in); errno != 0 {
			return errno
		}
	}
	return 0
}

// chmod sets no special bit that is not set.
func (t *Tree) chmod(fd int, st *unix.Statx_t, in *fuse.SetAttrIn) syscall.Errno {
	mode, ok := in.GetMode()
	switch {
	case !ok:
		return 0
	case mode&specialBits&^uint32(st.Mode) != 0:
		return syscall.EPERM
	}
	// By its name in /proc, because fchmod takes no O_PATH descriptor, and fchmodat2 Linux 6.6.
	return toErrno(unix.Fchmodat(int(t.proc.Fd()), strconv.Itoa(fd), mode&0o7777, 0))
}

// chown gives a file to the owner of the tree, and to nobody else.
func (t *Tree) chown(fd int, st *unix.Statx_t, in *fuse.SetAttrIn) syscall.Errno {
	is := t.shown(st)
	uid, setsUID := in.GetUID()
	gid, setsGID := in.GetGID()
	setsUID, setsGID = setsUID && uid != is.Uid, setsGID && gid != is.Gid
	switch {
	case !setsUID && !setsGID:
		return 0
	case !t.chowns, setsUID && uid != t.Owner.Uid, setsGID && gid != t.Owner.Gid:
		return syscall.EPERM
	}
	if setsUID {
		is.Uid = uid
	}
	if setsGID {
		is.Gid = gid
	}
	return t.give(fd, is)
}

func (t *Tree) truncate(fd int, _ *unix.Statx_t, in *fuse.SetAttrIn) syscall.Errno {
	size, ok := in.GetSize()
	if !ok {
		return 0
	}
	if _, ok := in.GetFh(); !ok {
		writable, errno := t.reopen(fd, unix.O_WRONLY)
		if errno != 0 {
			return errno
		}
		defer unix.Close(writable)
		fd = writable
	}
	return toErrno(unix.Ftruncate(fd, int64(size)))
}

func (t *Tree) utimes(fd int, _ *unix.Statx_t, in *fuse.SetAttrIn) syscall.Errno {
	atime, hasAtime := in.GetATime()
	mtime, hasMtime := in.GetMTime()
	if !hasAtime && !hasMtime {
		return 0
	}
	times := []unix.Timespec{timespec(atime, hasAtime), timespec(mtime, hasMtime)}
	return toErrno(unix.UtimesNanoAt(fd, "", times, unix.AT_EMPTY_PATH))
}

func timespec(t time.Time, set bool) unix.Timespec {
	if !set {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}
