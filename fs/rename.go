package fs

import (
	"context"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// What is in the layout cannot be renamed, linked or made by mknod. Across the
// border to the local directory the answer is EXDEV, so that mv copies.

var _ = (gofs.NodeRenamer)((*dirNode)(nil))

func (n *dirNode) Rename(ctx context.Context, name string, newParent gofs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if errno := renameErrno(n.ours(name), isOurs(newParent, newName)); errno != 0 {
		return errno
	}
	d, errno := n.changeLocal(name)
	if errno != 0 {
		return errno
	}
	defer d.Close()
	return d.Rename(ctx, name, newParent, newName, flags)
}

func renameErrno(fromOurs, toOurs bool) syscall.Errno {
	switch {
	case fromOurs && toOurs:
		return syscall.EPERM
	case fromOurs || toOurs:
		return syscall.EXDEV
	default:
		return 0
	}
}

// isOurs reports that name in parent belongs to the layout.
func isOurs(parent gofs.InodeEmbedder, name string) bool {
	d, ok := parent.(*dirNode)
	return ok && d.ours(name)
}

var _ = (gofs.NodeLinker)((*dirNode)(nil))

func (n *dirNode) Link(ctx context.Context, target gofs.InodeEmbedder, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	_, attachment := target.(*attachmentNode)
	if errno := renameErrno(attachment, n.ours(name)); errno != 0 {
		return nil, errno
	}
	d, errno := n.changeLocal(name)
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Link(ctx, target, name, out)
}

var _ = (gofs.NodeSymlinker)((*dirNode)(nil))

func (n *dirNode) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if n.ours(name) {
		return nil, syscall.EPERM
	}
	d, errno := n.changeLocal(name)
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Symlink(ctx, target, name, out)
}

var _ = (gofs.NodeMknoder)((*dirNode)(nil))

func (n *dirNode) Mknod(ctx context.Context, name string, mode, dev uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if n.ours(name) {
		return nil, syscall.EPERM
	}
	d, errno := n.changeLocal(name)
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Mknod(ctx, name, mode, out)
}

var _ = (gofs.NodeTmpfiler)((*dirNode)(nil))

func (n *dirNode) Tmpfile(ctx context.Context, flags, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	d, errno := n.changeLocal("")
	if errno != 0 {
		return nil, nil, 0, errno
	}
	defer d.Close()
	return d.Tmpfile(ctx, flags, mode, out)
}
