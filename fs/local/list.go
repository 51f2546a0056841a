package local

import (
	"context"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// List is an open directory that is being read. It has as little of it in memory
// as the system hands out at a time.
type List struct {
	tree   *Tree
	fd     int
	stream gofs.DirStream
}

// List opens d to be read.
func (d *Dir) List() (*List, syscall.Errno) {
	if errno := d.tree.take(); errno != 0 {
		return nil, errno
	}
	fd, errno := openat2(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if errno != 0 {
		d.tree.leave()
		return nil, errno
	}
	stream, _ := gofs.NewLoopbackDirStreamFd(fd)
	return &List{tree: d.tree, fd: fd, stream: stream}, 0
}

var _ = (gofs.FileReaddirenter)((*List)(nil))

func (l *List) Readdirent(context.Context) (*fuse.DirEntry, syscall.Errno) {
	if !l.stream.HasNext() {
		return nil, 0
	}
	e, errno := l.stream.Next()
	e.Ino &^= 1 << 63
	return &e, errno
}

var _ = (gofs.FileSeekdirer)((*List)(nil))

func (l *List) Seekdir(ctx context.Context, off uint64) syscall.Errno {
	return l.stream.(gofs.FileSeekdirer).Seekdir(ctx, off)
}

var _ = (gofs.FileFsyncdirer)((*List)(nil))

func (l *List) Fsyncdir(context.Context, uint32) syscall.Errno { return toErrno(unix.Fsync(l.fd)) }

var _ = (gofs.FileReleasedirer)((*List)(nil))

func (l *List) Releasedir(context.Context, uint32) {
	l.tree.leave()
	l.stream.Close()
}
