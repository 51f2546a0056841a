package local

import (
	"context"
	"slices"
	"strings"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Node is what is below the local directory. It keeps no descriptor: a process
// has too few for all files that the kernel may know.
type Node struct {
	gofs.Inode
	tree *Tree
}

// path returns the names that lead to n, or false if none does any more.
func (n *Node) path() (string, bool) {
	var names []string
	at := n.EmbeddedInode()
	for !at.IsRoot() {
		name, parent := at.Parent()
		if parent == nil {
			return "", false
		}
		names, at = append(names, name), parent
	}
	slices.Reverse(names)
	return strings.Join(names, "/"), true
}

// find returns an O_PATH descriptor of the very object that n stands for.
func (n *Node) find() (fd int, st unix.Statx_t, errno syscall.Errno) {
	path, ok := n.path()
	if !ok {
		return -1, st, syscall.ESTALE
	}
	switch fd, errno = openat2(n.tree.fd, path, unix.O_PATH, 0); errno {
	case 0:
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP: // something else is in the way now
		return -1, st, syscall.ESTALE
	default:
		return -1, st, errno
	}
	st, errno = statx(fd)
	if errno == 0 && n.tree.identity(&st) != n.StableAttr() {
		errno = syscall.ESTALE
	}
	if errno != 0 {
		unix.Close(fd)
	}
	return fd, st, errno
}

// dir opens n, a directory.
func (n *Node) dir() (*Dir, syscall.Errno) {
	fd, _, errno := n.find()
	if errno != 0 {
		return nil, errno
	}
	return &Dir{tree: n.tree, fd: fd, at: n.EmbeddedInode()}, 0
}

// Destination is a directory of the mounted tree that may take local files.
type Destination interface {
	// Receive opens the directory so that a local file can be called name in it.
	Receive(ctx context.Context, name string) (*Dir, syscall.Errno)
}

// Receive implements Destination.
func (n *Node) Receive(context.Context, string) (*Dir, syscall.Errno) {
	if n.tree.ReadOnly {
		return nil, syscall.EROFS
	}
	return n.dir()
}

var _ = (gofs.NodeLookuper)((*Node)(nil))

func (n *Node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	d, errno := n.dir()
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Lookup(ctx, name, out)
}

var _ = (gofs.NodeCreater)((*Node)(nil))

func (n *Node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	d, errno := n.Receive(ctx, name)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	defer d.Close()
	return d.Create(ctx, name, flags, mode, out)
}

var _ = (gofs.NodeTmpfiler)((*Node)(nil))

func (n *Node) Tmpfile(ctx context.Context, flags, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	d, errno := n.Receive(ctx, "")
	if errno != 0 {
		return nil, nil, 0, errno
	}
	defer d.Close()
	return d.Tmpfile(ctx, flags, mode, out)
}

var _ = (gofs.NodeMkdirer)((*Node)(nil))

func (n *Node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	d, errno := n.Receive(ctx, name)
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Mkdir(ctx, name, mode, out)
}

var _ = (gofs.NodeMknoder)((*Node)(nil))

func (n *Node) Mknod(ctx context.Context, name string, mode, dev uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	d, errno := n.Receive(ctx, name)
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Mknod(ctx, name, mode, out)
}

var _ = (gofs.NodeSymlinker)((*Node)(nil))

func (n *Node) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	d, errno := n.Receive(ctx, name)
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Symlink(ctx, target, name, out)
}

var _ = (gofs.NodeLinker)((*Node)(nil))

func (n *Node) Link(ctx context.Context, target gofs.InodeEmbedder, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	d, errno := n.Receive(ctx, name)
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Link(ctx, target, name, out)
}

var _ = (gofs.NodeUnlinker)((*Node)(nil))

func (n *Node) Unlink(ctx context.Context, name string) syscall.Errno {
	d, errno := n.Receive(ctx, name)
	if errno != 0 {
		return errno
	}
	defer d.Close()
	return d.Unlink(name)
}

var _ = (gofs.NodeRmdirer)((*Node)(nil))

func (n *Node) Rmdir(ctx context.Context, name string) syscall.Errno {
	d, errno := n.Receive(ctx, name)
	if errno != 0 {
		return errno
	}
	defer d.Close()
	return d.Rmdir(name)
}

var _ = (gofs.NodeRenamer)((*Node)(nil))

func (n *Node) Rename(ctx context.Context, name string, to gofs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	d, errno := n.Receive(ctx, name)
	if errno != 0 {
		return errno
	}
	defer d.Close()
	return d.Rename(ctx, name, to, newName, flags)
}

var _ = (gofs.NodeReadlinker)((*Node)(nil))

func (n *Node) Readlink(context.Context) ([]byte, syscall.Errno) {
	fd, _, errno := n.find()
	if errno != 0 {
		return nil, errno
	}
	defer unix.Close(fd)
	target := make([]byte, unix.PathMax)
	size, err := unix.Readlinkat(fd, "", target)
	return target[:max(size, 0)], toErrno(err)
}

var _ = (gofs.NodeStatfser)((*Node)(nil))

// Statfs tells about the disk that the local directory is on.
func (n *Node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(n.tree.fd, &st); err != nil {
		return toErrno(err)
	}
	out.FromStatfsT(&st)
	return 0
}

var _ = (gofs.NodeOpener)((*Node)(nil))

func (n *Node) Open(_ context.Context, flags uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	if n.tree.ReadOnly && flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return nil, 0, syscall.EROFS
	}
	fd, st, errno := n.find()
	if errno != 0 {
		return nil, 0, errno
	}
	defer unix.Close(fd)
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG { // the kernel opens them by itself
		return nil, 0, syscall.EPERM
	}
	return n.tree.open(func() (int, syscall.Errno) { return n.tree.reopen(fd, access(flags)) })
}

var _ = (gofs.NodeOpendirHandler)((*Node)(nil))

func (n *Node) OpendirHandle(context.Context, uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	d, errno := n.dir()
	if errno != 0 {
		return nil, 0, errno
	}
	defer d.Close()
	s, errno := d.List()
	if errno != 0 {
		return nil, 0, errno
	}
	return s, 0, 0
}
