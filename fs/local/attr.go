package local

import (
	"os"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// statx looks at what a descriptor stands for.
func statx(fd int) (st unix.Statx_t, errno syscall.Errno) {
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
	return st, toErrno(err)
}

// identity returns what stays the same for as long as the object exists. Bit 63
// of the number is left to others.
func (t *Tree) identity(st *unix.Statx_t) gofs.StableAttr {
	return gofs.StableAttr{
		Mode: uint32(st.Mode) & syscall.S_IFMT,
		Ino:  t.ino(st.Ino, st.Dev_major, st.Dev_minor),
		Gen:  generation(st),
	}
}

// ino tells the subvolumes of a file system apart, which are no mounts.
func (t *Tree) ino(ino uint64, major, minor uint32) uint64 {
	other := unix.Mkdev(major, minor) ^ unix.Mkdev(t.root.Dev_major, t.root.Dev_minor)
	return (ino ^ other<<32) &^ (1 << 63)
}

// generation tells files that have had the same number one after the other
// apart, if the file system keeps times of birth.
func generation(st *unix.Statx_t) uint64 {
	if st.Mask&unix.STATX_BTIME == 0 {
		return 1
	}
	return uint64(st.Btime.Sec)*1e9 + uint64(st.Btime.Nsec)
}

func (t *Tree) attr(st *unix.Statx_t, out *fuse.Attr) {
	*out = fuse.Attr{
		Ino:  t.ino(st.Ino, st.Dev_major, st.Dev_minor),
		Size: st.Size, Blocks: st.Blocks, Blksize: st.Blksize,
		Atime: uint64(st.Atime.Sec), Atimensec: st.Atime.Nsec,
		Mtime: uint64(st.Mtime.Sec), Mtimensec: st.Mtime.Nsec,
		Ctime: uint64(st.Ctime.Sec), Ctimensec: st.Ctime.Nsec,
		Mode: uint32(st.Mode), Nlink: st.Nlink, Owner: t.shown(st),
		Rdev: uint32(unix.Mkdev(st.Rdev_major, st.Rdev_minor)),
	}
}

// shown returns whose a file is for the callers.
func (t *Tree) shown(st *unix.Statx_t) fuse.Owner {
	owner := fuse.Owner{Uid: st.Uid, Gid: st.Gid}
	if t.chowns {
		return owner
	}
	if owner.Uid == uint32(os.Geteuid()) {
		owner.Uid = t.Owner.Uid
	}
	if owner.Gid == uint32(os.Getegid()) {
		owner.Gid = t.Owner.Gid
	}
	return owner
}
