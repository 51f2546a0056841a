package local

import (
	"context"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// file is an open regular file. It has no ioctl: see the package comment.
type file struct {
	tree *Tree
	fd   int
}

// open returns a handle of what opens returns.
func (t *Tree) open(opens func() (int, syscall.Errno)) (gofs.FileHandle, uint32, syscall.Errno) {
	if errno := t.take(); errno != 0 {
		return nil, 0, errno
	}
	fd, errno := opens()
	if errno != 0 {
		t.leave()
		return nil, 0, errno
	}
	return &file{tree: t, fd: fd}, 0, 0
}

var _ = (gofs.FilePassthroughFder)((*file)(nil))

// PassthroughFd lets the kernel read and write the file by itself, where this
// process has CAP_SYS_ADMIN. Elsewhere go-fuse goes on without: SEMANTICS.md has
// what that costs.
func (f *file) PassthroughFd() (int, bool) { return f.fd, true }

var _ = (gofs.FileReader)((*file)(nil))

func (f *file) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return fuse.ReadResultFd(uintptr(f.fd), off, len(dest)), 0
}

var _ = (gofs.FileWriter)((*file)(nil))

func (f *file) Write(_ context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	n, err := unix.Pwrite(f.fd, data, off)
	return uint32(max(n, 0)), toErrno(err)
}

var _ = (gofs.FileWritever)((*file)(nil))

func (f *file) Writev(_ context.Context, data [][]byte, off int64) (uint32, syscall.Errno) {
	n, err := unix.Pwritev(f.fd, data, off)
	return uint32(max(n, 0)), toErrno(err)
}

var _ = (gofs.FileFlusher)((*file)(nil))

// Flush lets the file system tell, as it would be told of a close: a network file
// system has errors to report.
func (f *file) Flush(context.Context) syscall.Errno {
	fd, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return toErrno(err)
	}
	return toErrno(unix.Close(fd))
}

var _ = (gofs.FileFsyncer)((*file)(nil))

func (f *file) Fsync(_ context.Context, flags uint32) syscall.Errno {
	const dataOnly = 1 // FUSE_FSYNC_FDATASYNC
	if flags&dataOnly != 0 {
		return toErrno(unix.Fdatasync(f.fd))
	}
	return toErrno(unix.Fsync(f.fd))
}

var _ = (gofs.FileLseeker)((*file)(nil))

// Lseek looks for data and holes: the kernel does not ask for anything else.
func (f *file) Lseek(_ context.Context, off uint64, whence uint32) (uint64, syscall.Errno) {
	n, err := unix.Seek(f.fd, int64(off), int(whence))
	return uint64(n), toErrno(err)
}

var _ = (gofs.FileAllocater)((*file)(nil))

func (f *file) Allocate(_ context.Context, off, size uint64, mode uint32) syscall.Errno {
	return toErrno(unix.Fallocate(f.fd, mode, int64(off), int64(size)))
}

var _ = (gofs.FileReleaser)((*file)(nil))

func (f *file) Release(context.Context) syscall.Errno {
	f.tree.leave()
	return toErrno(unix.Close(f.fd))
}
