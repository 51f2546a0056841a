package fs

import (
	"context"
	"fmt"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/fs/local"
)

// useLocal prepares the local directory, if there is one.
func (t *tree) useLocal(o Options) (err error) {
	if o.Local == nil {
		return nil
	}
	t.local, err = local.New(local.Options{
		Dir: o.Local, Owner: fuse.Owner{Uid: o.UID, Gid: o.GID}, ReadOnly: o.ReadOnly,
	})
	return err
}

func (t *tree) closeLocal() {
	if t.local != nil {
		t.local.Close()
	}
}

// localNames are those that lead to the local part of n.
func (n *dirNode) localNames() []string {
	return []string{fmt.Sprintf("%02x", n.aa), fmt.Sprintf("%02x", n.bb)}[:n.depth]
}

// localPart opens the local part of n: ENOENT if there is none. What has its name
// and is no directory, or none of the owner's, is hidden as all that has a name of
// the layout.
func (n *dirNode) localPart() (*local.Dir, syscall.Errno) {
	if n.tree.local == nil {
		return nil, syscall.ENOENT
	}
	d, errno := n.tree.local.Open(n.EmbeddedInode(), n.localNames()...)
	switch errno {
	case syscall.ENOTDIR, syscall.ELOOP, syscall.EXDEV, syscall.EACCES:
		errno = syscall.ENOENT
	}
	return d, errno
}

// changeLocal opens the local part of n, which it makes if need be, to change
// what is called name there.
func (n *dirNode) changeLocal(name string) (*local.Dir, syscall.Errno) {
	switch {
	case n.tree.readOnly:
		return nil, syscall.EROFS
	case n.ours(name):
		return nil, syscall.EPERM
	case n.tree.local == nil:
		return nil, n.tree.refuseLocal()
	}
	return n.tree.local.Make(n.EmbeddedInode(), n.localNames()...)
}

var _ = (local.Destination)((*dirNode)(nil))

// Receive keeps local files from taking a name of the layout, where nobody
// would see them again.
func (n *dirNode) Receive(_ context.Context, name string) (*local.Dir, syscall.Errno) {
	if n.ours(name) {
		return nil, syscall.EXDEV
	}
	return n.changeLocal(name)
}

func (n *dirNode) lookupLocal(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	d, errno := n.localPart()
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Lookup(ctx, name, out)
}

func (n *dirNode) syncLocal() syscall.Errno {
	d, errno := n.localPart()
	if errno == syscall.ENOENT {
		return 0
	}
	if errno != 0 {
		return errno
	}
	defer d.Close()
	return d.Sync()
}
