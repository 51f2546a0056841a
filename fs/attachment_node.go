package fs

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/fs/attachment"
)

// attachmentNode is one version of an attachment: a committed one, or one that
// is being written and becomes committed in place.
type attachmentNode struct {
	gofs.Inode
	tree    *tree
	uuid    attachment.UUID
	writer  *attachment.Writer // nil if the node was found in the bucket
	created time.Time          // of a node that is being written
	cached  bool               // the kernel gathers its writes: see cached.go
	counted atomic.Bool        // has one of tree.places
	known   atomic.Bool        // counted among tree.nodes
	grows   atomic.Bool        // is open for writing, and no fsync has made it final
	dir     *dirNode

	mu   sync.Mutex // guards info
	info attachment.Info
}

// newPending returns the node of an attachment that is about to be written in d.
func newPending(d *dirNode, u attachment.UUID) *attachmentNode {
	now, t := time.Now(), d.tree
	n := &attachmentNode{
		tree: t, dir: d, uuid: u, created: now,
		writer: t.store.Create(u),
		info:   attachment.Info{UUID: u, Modified: now},
	}
	n.grows.Store(true)
	return n
}

// pending reports whether nothing has been committed yet.
func (n *attachmentNode) pending() bool { return n.tree.findPending(n.uuid) == n }

// current returns what is known of the attachment now.
func (n *attachmentNode) current() attachment.Info {
	n.mu.Lock()
	defer n.mu.Unlock()
	info := n.info
	if n.writer != nil && info.Version == "" {
		info.Size = n.writer.Size()
	}
	return info
}

// serves reports that readers of the version that info describes are to use n.
// The size of a node never changes for them.
func (n *attachmentNode) serves(info attachment.Info) bool {
	return !n.cached && !n.grows.Load() && n.is(info)
}

// is reports that info describes the version that n stands for.
func (n *attachmentNode) is(info attachment.Info) bool {
	known := n.current()
	if info.Version == "" || known.Version == "" {
		return known.Size == info.Size && known.Modified.Equal(info.Modified)
	}
	return known.Size == info.Size && known.Version == info.Version
}

// entry fills in the answer to a lookup that has seen the attachment then.
func (n *attachmentNode) entry(out *fuse.EntryOut, seen time.Time) *gofs.Inode {
	n.attr(&out.Attr)
	left := max(0, fileTimeout-time.Since(seen))
	out.SetEntryTimeout(left)
	out.SetAttrTimeout(left)
	return n.EmbeddedInode()
}

// refresh notes what a lookup or a commit knows of the version that n stands
// for. A listing knows less than what is known.
func (n *attachmentNode) refresh(info attachment.Info) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if info.Version != "" {
		n.info = info
	}
}

// committed notes what the commit has made.
func (n *attachmentNode) committed(info attachment.Info) {
	n.refresh(info)
	n.tree.removePending(n)
}

// reopen makes a node that was committed one that is being written again. It
// wraps attachment.ErrCommitted if another one has its name.
func (n *attachmentNode) reopen(ctx context.Context) error {
	if !n.tree.addPending(n) {
		return &attachment.Error{Op: "write", Key: n.uuid.Key(), Err: attachment.ErrCommitted}
	}
	if err := n.writer.Reopen(ctx); err != nil {
		n.tree.removePending(n)
		return err
	}
	n.mu.Lock()
	n.info = attachment.Info{UUID: n.uuid, Modified: n.created}
	n.mu.Unlock()
	n.tree.lead(n)
	return nil
}

// unlink ends the writing of n and reports whether it had been committed.
func (n *attachmentNode) unlink() (wasCommitted bool) {
	wasCommitted = n.writer.Delete()
	n.tree.removePending(n)
	return wasCommitted
}

var _ = (gofs.NodeOnForgetter)((*attachmentNode)(nil))

func (n *attachmentNode) OnForget() { n.tree.nodes.forgotten(n) }

func (n *attachmentNode) attr(out *fuse.Attr) { n.tree.fileAttr(n.current(), out) }

var _ = (gofs.NodeGetattrer)((*attachmentNode)(nil))

func (n *attachmentNode) Getattr(_ context.Context, _ gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.attr(&out.Attr)
	out.SetTimeout(n.attrTimeout())
	return 0
}

var _ = (gofs.NodeSetattrer)((*attachmentNode)(nil))

func (n *attachmentNode) Setattr(ctx context.Context, f gofs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok && n.resizes(int64(size)) {
		h, ok := f.(*writeHandle)
		if !ok {
			return syscall.EPERM
		}
		if errno := h.truncate(ctx, int64(size)); errno != 0 {
			return errno
		}
	}
	n.attr(&out.Attr)
	return n.tree.setAttr(in, &out.Attr)
}

// setAttr accepts a change of mode or owner to what they are, and of times,
// which has no effect.
func (t *tree) setAttr(in *fuse.SetAttrIn, is *fuse.Attr) syscall.Errno {
	if t.readOnly {
		return syscall.EROFS
	}
	mode, setsMode := in.GetMode()
	uid, setsUID := in.GetUID()
	gid, setsGID := in.GetGID()
	if setsMode && mode&0o7777 != is.Mode&0o7777 || setsUID && uid != is.Uid || setsGID && gid != is.Gid {
		return syscall.EPERM
	}
	return 0
}

var _ = (gofs.NodeOpener)((*attachmentNode)(nil))

// Open fetches the whole attachment. A node that is being written cannot be
// opened by anyone else.
func (n *attachmentNode) Open(ctx context.Context, flags uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	info := n.current()
	switch {
	case flags&(syscall.O_ACCMODE|syscall.O_TRUNC) != syscall.O_RDONLY:
		if n.tree.readOnly {
			return nil, 0, syscall.EROFS
		}
		return nil, 0, syscall.EPERM
	case n.pending():
		return nil, 0, syscall.EBUSY
	case n.grows.Load():
		return nil, 0, syscall.ESTALE // the kernel looks again, and finds another node
	case n.tree.draining.Load():
		return nil, 0, n.tree.fail("open", &attachment.Error{Op: "open", Key: n.uuid.Key(), Err: errDraining})
	}
	patient := untilDying(ctx)
	defer patient.stop()
	file, err := n.tree.store.Open(patient, info)
	if err != nil {
		return nil, 0, n.tree.fail("open", err)
	}
	return &readHandle{file: file}, fuse.FOPEN_DIRECT_IO, 0
}
