package local

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// beneath keeps a resolution below the descriptor that it begins at. It implies
// RESOLVE_NO_MAGICLINKS.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV

// maxOpen is how many files and directories may be open at a time: the
// descriptors of this process, of which the unit grants 65,536, are also needed
// for the bucket. SQLite needs a handful.
const maxOpen = 4096

// Options says what to serve, and for whom.
type Options struct {
	Dir      *os.File   // open until the last call has returned
	Owner    fuse.Owner // of the mounted tree
	ReadOnly bool
}

// Tree is a local directory.
type Tree struct {
	Options
	fd        int      // of Dir
	proc      *os.File // /proc/self/fd, where a descriptor has a name
	root      unix.Statx_t
	chowns    bool // this process gives what it makes to the caller
	openFiles atomic.Int64
	census    *census
}

// New returns the tree below o.Dir, to be served with the rights that this process
// has then.
func New(o Options) (*Tree, error) {
	t := &Tree{Options: o, fd: int(o.Dir.Fd()), chowns: os.Geteuid() == 0, census: newCensus()}
	// Refused also where a filter of system calls does not know openat2.
	fd, errno := openat2(t.fd, ".", unix.O_PATH|unix.O_DIRECTORY, 0)
	if errno == syscall.ENOTDIR {
		return nil, fmt.Errorf("local directory %s is not a directory", o.Dir.Name())
	}
	if errno != 0 {
		return nil, fmt.Errorf("local directory %s: openat2, which needs Linux 5.6: %w", o.Dir.Name(), errno)
	}
	defer unix.Close(fd)
	if t.root, errno = statx(fd); errno != 0 {
		return nil, fmt.Errorf("local directory %s: %w", o.Dir.Name(), errno)
	}
	proc, err := os.OpenFile("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("local directory %s needs /proc: %w", o.Dir.Name(), err)
	}
	t.proc = proc
	return t, nil
}

// Close ends the use of the tree. Dir stays open.
func (t *Tree) Close() error { return t.proc.Close() }

// openat2 opens what is at path below dir.
func openat2(dir int, path string, flags int, mode uint32) (fd int, errno syscall.Errno) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW),
		Mode:    uint64(mode),
		Resolve: beneath,
	}
	for {
		fd, err := unix.Openat2(dir, path, &how)
		if err != unix.EINTR {
			return fd, toErrno(err)
		}
	}
}

// reopen opens what an O_PATH descriptor stands for, without another look at
// any name. It must be a regular file.
func (t *Tree) reopen(fd int, flags int) (int, syscall.Errno) {
	again, err := unix.Openat(int(t.proc.Fd()), strconv.Itoa(fd), flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	return again, toErrno(err)
}

// access returns the flags of a caller's open that are of use here. Where to
// append is decided by the kernel, and O_DIRECT is between it and the caller.
func access(flags uint32) int { return int(flags) & (unix.O_ACCMODE | unix.O_SYNC) }

// take notes one more open file.
func (t *Tree) take() syscall.Errno {
	if t.openFiles.Add(1) > maxOpen {
		t.openFiles.Add(-1)
		return syscall.ENFILE
	}
	return 0
}

func (t *Tree) leave() { t.openFiles.Add(-1) }

// toErrno returns the errno of a failed system call. After one ENOSYS the kernel
// would not send such a request again, for attachments neither.
func toErrno(err error) syscall.Errno {
	errno, ok := err.(syscall.Errno)
	switch {
	case err == nil:
		return 0
	case !ok:
		return syscall.EIO
	case errno == syscall.ENOSYS:
		return syscall.EOPNOTSUPP
	}
	return errno
}
