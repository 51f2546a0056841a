package fs

import (
	"container/list"
	"context"
	"errors"
	iofs "io/fs"
	"math"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/fs/attachment"
)

// dirNode is a directory of the layout: the root (depth 0), AA (1) or AA/BB
// (2). It decides by the name what belongs to the bucket; the rest is in its
// local part, which is found by the same names below the local directory.
type dirNode struct {
	gofs.Inode
	tree   *tree
	depth  int
	aa, bb byte
	nodes  int           // attachments in it that the kernel knows; as place
	place  *list.Element // in tree.nodes, which guards both
}

func newRoot(t *tree) *dirNode {
	t.root = &dirNode{tree: t}
	return t.root
}

// attachmentName returns the UUID if name is that of an attachment in n.
func (n *dirNode) attachmentName(name string) (attachment.UUID, bool) {
	if n.depth != 2 {
		return attachment.UUID{}, false
	}
	u, ok := attachment.ParseUUID(name)
	return u, ok && u[0] == n.aa && u[1] == n.bb
}

// subDir returns the directory of the layout called name in n.
func (n *dirNode) subDir(name string) (*dirNode, bool) {
	b, ok := attachment.ParseDir(name)
	if !ok || n.depth == 2 {
		return nil, false
	}
	return n.child(b), true
}

// child returns the directory b in n, which has depth 0 or 1.
func (n *dirNode) child(b byte) *dirNode {
	d := &dirNode{tree: n.tree, depth: n.depth + 1, aa: n.aa, bb: b}
	if n.depth == 0 {
		d.aa, d.bb = b, 0
	}
	return d
}

// last returns the byte that n, a directory of depth 1 or 2, is called by.
func (n *dirNode) last() byte {
	if n.depth == 1 {
		return n.aa
	}
	return n.bb
}

// ours reports that name belongs to the layout and not to the local directory.
func (n *dirNode) ours(name string) bool {
	_, attachment := n.attachmentName(name)
	_, dir := n.subDir(name)
	return attachment || dir
}

var _ = (gofs.NodeLookuper)((*dirNode)(nil))

func (n *dirNode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if d, ok := n.subDir(name); ok {
		n.tree.dirAttr(&out.Attr)
		out.SetEntryTimeout(dirTimeout)
		out.SetAttrTimeout(dirTimeout)
		return n.NewInode(ctx, d, dirIdentity(d.depth, d.aa, d.bb)), 0
	}
	if u, ok := n.attachmentName(name); ok {
		return n.lookupAttachment(ctx, u, out)
	}
	return n.lookupLocal(ctx, name, out)
}

func (n *dirNode) lookupAttachment(ctx context.Context, u attachment.UUID, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if p := n.tree.findPending(u); p != nil {
		n.tree.nodes.seen(p)
		p.attr(&out.Attr)
		out.SetAttrTimeout(p.attrTimeout())
		return p.EmbeddedInode(), 0
	}
	known := n.knownChild(u)
	patient := untilDying(ctx)
	defer patient.stop()
	info, err := n.tree.store.Stat(patient, u)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, syscall.ENOENT
	}
	if err != nil {
		code := unanswered(n.tree.fail("stat", err), err)
		if code == syscall.ENOTDIR {
			n.tree.failedLooks.add(ctx, u)
		}
		return nil, code
	}
	if known != nil && known.serves(info) {
		known.refresh(info)
		n.tree.nodes.seen(known)
		return known.entry(out, info.Seen), 0
	}
	node := &attachmentNode{tree: n.tree, dir: n, uuid: u, info: info}
	n.NewInode(ctx, node, n.tree.fileIdentity(u))
	n.tree.nodes.seen(node)
	return node.entry(out, info.Seen), 0
}

// knownChild returns the node of u that the kernel knows, or nil.
func (n *dirNode) knownChild(u attachment.UUID) *attachmentNode {
	child := n.GetChild(u.String())
	if child == nil {
		return nil
	}
	return child.Operations().(*attachmentNode)
}

var _ = (gofs.NodeOnForgetter)((*dirNode)(nil))

func (n *dirNode) OnForget() { n.tree.nodes.left(n) }

var _ = (gofs.NodeCreater)((*dirNode)(nil))

func (n *dirNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	if u, ok := n.attachmentName(name); ok {
		return n.createAttachment(ctx, u, flags, out)
	}
	d, errno := n.changeLocal(name)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	defer d.Close()
	return d.Create(ctx, name, flags, mode, out)
}

// createAttachment makes no request: the conditional upload will tell whether
// the name is taken.
func (n *dirNode) createAttachment(ctx context.Context, u attachment.UUID, flags uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	switch {
	case n.tree.readOnly:
		return nil, nil, 0, syscall.EROFS
	case flags&syscall.O_ACCMODE != syscall.O_WRONLY:
		return nil, nil, 0, syscall.EPERM
	case n.tree.draining.Load():
		return nil, nil, 0, n.tree.fail("create", &attachment.Error{Op: "create", Key: u.Key(), Err: errDraining})
	}
	process := processOf(callerID(ctx))
	node := newPending(n, u)
	node.gather(process)
	if !n.tree.addPending(node) {
		node.gathered()
		node.writer.Discard()
		return nil, nil, 0, syscall.EEXIST
	}
	h := newWriteHandle(node, process)
	child := n.NewInode(ctx, node, n.tree.fileIdentity(u))
	n.tree.nodes.seen(node)
	node.attr(&out.Attr)
	out.SetAttrTimeout(node.attrTimeout())
	return child, h, node.openFlags(), 0
}

var _ = (gofs.NodeUnlinker)((*dirNode)(nil))

func (n *dirNode) Unlink(ctx context.Context, name string) syscall.Errno {
	u, ok := n.attachmentName(name)
	if !ok {
		return n.unlinkLocal(name)
	}
	if n.tree.readOnly {
		return syscall.EROFS
	}
	if p := n.tree.findPending(u); p != nil && !p.unlink() {
		return 0 // it never reached the bucket
	}
	shown := attachment.Info{UUID: u}
	if known := n.knownChild(u); known != nil {
		shown = known.current()
	}
	if err := n.tree.store.DeleteShown(ctx, shown); err != nil {
		return n.tree.fail("unlink", err)
	}
	return 0
}

func (n *dirNode) unlinkLocal(name string) syscall.Errno {
	d, errno := n.changeLocal(name)
	if errno != 0 {
		return errno
	}
	defer d.Close()
	return d.Unlink(name)
}

var _ = (gofs.NodeMkdirer)((*dirNode)(nil))

func (n *dirNode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if _, ok := n.subDir(name); ok {
		return nil, syscall.EEXIST
	}
	d, errno := n.changeLocal(name)
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Mkdir(ctx, name, mode, out)
}

var _ = (gofs.NodeRmdirer)((*dirNode)(nil))

func (n *dirNode) Rmdir(ctx context.Context, name string) syscall.Errno {
	if d, ok := n.subDir(name); ok {
		if d.depth == 2 {
			n.tree.doubtDeleted(ctx, d)
		}
		return syscall.ENOTEMPTY
	}
	d, errno := n.changeLocal(name)
	if errno != 0 {
		return errno
	}
	defer d.Close()
	return d.Rmdir(name)
}

var _ = (gofs.NodeGetattrer)((*dirNode)(nil))

func (n *dirNode) Getattr(_ context.Context, _ gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.tree.dirAttr(&out.Attr)
	out.SetTimeout(dirTimeout)
	return 0
}

var _ = (gofs.NodeStatxer)((*dirNode)(nil))

// Statx answers ENOSYS, after which the kernel sticks to Getattr: the tree
// knows no more than that.
func (n *dirNode) Statx(context.Context, gofs.FileHandle, uint32, uint32, *fuse.StatxOut) syscall.Errno {
	return syscall.ENOSYS
}

var _ = (gofs.NodeSetattrer)((*dirNode)(nil))

func (n *dirNode) Setattr(ctx context.Context, f gofs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.tree.dirAttr(&out.Attr)
	return n.tree.setAttr(in, &out.Attr)
}

var _ = (gofs.NodeStatfser)((*dirNode)(nil))

// Statfs answers large and constant numbers: a bucket has no size.
func (n *dirNode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	const block, blocks, files = 4096, 1 << 40, math.MaxUint32
	*out = fuse.StatfsOut{
		Bsize: block, Frsize: block,
		Blocks: blocks, Bfree: blocks, Bavail: blocks,
		Files: files, Ffree: files,
		NameLen: 255,
	}
	return 0
}

var _ = (gofs.NodeFsyncer)((*dirNode)(nil))

// Fsync on a directory has nothing to do for attachments: they are durable
// when their commit returns.
func (n *dirNode) Fsync(context.Context, gofs.FileHandle, uint32) syscall.Errno {
	return n.syncLocal()
}
