package fs

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// localNode is a file or directory below the local directory.
type localNode struct {
	gofs.LoopbackNode
}

var _ = (gofs.NodeRenamer)((*localNode)(nil))

// Rename keeps local files from taking a name of the layout, where nobody
// would see them again.
func (n *localNode) Rename(ctx context.Context, name string, newParent gofs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if errno := renameErrno(false, isOurs(newParent, newName)); errno != 0 {
		return errno
	}
	if d, ok := newParent.(*dirNode); ok {
		if errno := d.mayChangeLocal(ctx, newName); errno != 0 {
			return errno
		}
	}
	return n.LoopbackNode.Rename(ctx, name, newParent, newName, flags)
}

var _ = (gofs.NodeLinker)((*localNode)(nil))

func (n *localNode) Link(ctx context.Context, target gofs.InodeEmbedder, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if _, ok := target.(*attachmentNode); ok {
		return nil, syscall.EXDEV
	}
	return n.LoopbackNode.Link(ctx, target, name, out)
}

var (
	_ = (gofs.NodeWrapChilder)((*dirNode)(nil))
	_ = (gofs.NodeWrapChilder)((*localNode)(nil))
)

func (n *dirNode) WrapChild(_ context.Context, ops gofs.InodeEmbedder) gofs.InodeEmbedder {
	return wrapLocal(ops)
}

func (n *localNode) WrapChild(_ context.Context, ops gofs.InodeEmbedder) gofs.InodeEmbedder {
	return wrapLocal(ops)
}

func wrapLocal(ops gofs.InodeEmbedder) gofs.InodeEmbedder {
	if l, ok := ops.(*gofs.LoopbackNode); ok {
		return &localNode{LoopbackNode: gofs.LoopbackNode{RootData: l.RootData}}
	}
	return ops
}

func (n *dirNode) hasLocal() bool { return n.tree.local.Path != "" }

// localPath returns where the local part of n is.
func (n *dirNode) localPath() string {
	return filepath.Join(n.tree.local.Path, n.Path(nil))
}

// mayChangeLocal prepares a change of name in the local part of n.
func (n *dirNode) mayChangeLocal(ctx context.Context, name string) syscall.Errno {
	switch {
	case n.tree.readOnly:
		return syscall.EROFS
	case n.ours(name):
		return syscall.EPERM
	case !n.hasLocal():
		return n.tree.refuseLocal()
	case n.depth == 0:
		return 0
	}
	return n.makeLocal(ctx)
}

// makeLocal creates the local part of AA or AA/BB, for the caller.
func (n *dirNode) makeLocal(ctx context.Context) syscall.Errno {
	missing := n.localPath()
	if _, err := os.Lstat(missing); err == nil {
		return 0
	}
	if err := os.MkdirAll(missing, 0o700); err != nil {
		return n.tree.fail("mkdir in the local directory", err)
	}
	caller, ok := fuse.FromContext(ctx)
	if !ok || os.Geteuid() != 0 {
		return 0
	}
	for dir := missing; dir != filepath.Clean(n.tree.local.Path); dir = filepath.Dir(dir) {
		if err := os.Lchown(dir, int(caller.Uid), int(caller.Gid)); err != nil {
			return n.tree.fail("chown in the local directory", err)
		}
	}
	return 0
}

func (n *dirNode) syncLocal() syscall.Errno {
	f, err := os.Open(n.localPath())
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		return n.tree.fail("fsync of the local directory", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return n.tree.fail("fsync of the local directory", err)
	}
	return 0
}
