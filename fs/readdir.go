package fs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/fs/local"
)

var _ = (gofs.NodeOpendirHandler)((*dirNode)(nil))

// OpendirHandle makes no request: a directory is also opened to fsync it.
func (n *dirNode) OpendirHandle(context.Context, uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	return &dirHandle{node: n}, 0, 0
}

func (n *dirNode) bucketEntries(ctx context.Context) ([]fuse.DirEntry, error) {
	if n.depth == 2 {
		return n.attachmentEntries(ctx)
	}
	dirs, err := n.bucketDirs(ctx)
	var entries []fuse.DirEntry
	for _, b := range dirs {
		entries = append(entries, n.dirEntry(b))
	}
	return entries, err
}

func (n *dirNode) bucketDirs(ctx context.Context) ([]byte, error) {
	if n.depth == 0 {
		return n.tree.store.Dirs(ctx)
	}
	return n.tree.store.SubDirs(ctx, n.aa)
}

func (n *dirNode) dirEntry(b byte) fuse.DirEntry {
	d := n.child(b)
	id := dirIdentity(d.depth, d.aa, d.bb)
	return fuse.DirEntry{Name: fmt.Sprintf("%02x", b), Mode: id.Mode, Ino: id.Ino}
}

func (n *dirNode) attachmentEntries(ctx context.Context) ([]fuse.DirEntry, error) {
	uuids, err := n.tree.store.Names(ctx, n.aa, n.bb)
	var entries []fuse.DirEntry
	for _, u := range uuids {
		entries = append(entries, fuse.DirEntry{Name: u.String(), Mode: syscall.S_IFREG, Ino: fileIno(u)})
	}
	return entries, err
}

// localEntry returns how an entry of the local part is shown, or false for what
// the layout hides.
func (n *dirNode) localEntry(e fuse.DirEntry) (fuse.DirEntry, bool) {
	if e.Name == "." || e.Name == ".." {
		return fuse.DirEntry{}, false
	}
	if d, ok := n.subDir(e.Name); ok {
		return n.dirEntry(d.last()), true
	}
	return e, !n.ours(e.Name)
}

// dirHandle lists its directory when it is first read, and again after
// rewinddir: what the bucket holds, then the local files, of which there may be
// more than fit into memory. go-fuse serialises the calls.
type dirHandle struct {
	node   *dirNode
	bucket []fuse.DirEntry
	local  *local.List // nil if there is none, and before the first read
	listed bool
	next   uint64 // place of the next entry
}

var _ = (gofs.FileReaddirenter)((*dirHandle)(nil))

func (h *dirHandle) Readdirent(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	if errno := h.list(ctx); errno != 0 {
		return nil, errno
	}
	entry, errno := h.entry(ctx)
	if entry == nil {
		return nil, errno
	}
	h.next++
	entry.Off = h.next
	return entry, 0
}

func (h *dirHandle) entry(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	if h.next < uint64(len(h.bucket)) {
		entry := h.bucket[h.next]
		return &entry, 0
	}
	for h.local != nil {
		e, errno := h.local.Readdirent(ctx)
		if e == nil || errno != 0 {
			return nil, errno
		}
		if entry, ok := h.node.localEntry(*e); ok && !h.inBucket(entry.Name) {
			return &entry, 0
		}
	}
	return nil, 0
}

// inBucket reports that a name was listed before those of the local files: that
// of a directory, of which there are few.
func (h *dirHandle) inBucket(name string) bool {
	return h.node.depth < 2 && slices.ContainsFunc(h.bucket, func(e fuse.DirEntry) bool { return e.Name == name })
}

var _ = (gofs.FileSeekdirer)((*dirHandle)(nil))

func (h *dirHandle) Seekdir(ctx context.Context, off uint64) syscall.Errno {
	if off == 0 {
		h.listed = false
		return 0
	}
	if errno := h.list(ctx); errno != 0 {
		return errno
	}
	if errno := h.rewind(ctx); errno != 0 {
		return errno
	}
	h.next = min(off, uint64(len(h.bucket)))
	for h.next < off {
		if entry, errno := h.Readdirent(ctx); entry == nil {
			return errno
		}
	}
	return 0
}

func (h *dirHandle) rewind(ctx context.Context) syscall.Errno {
	h.next = 0
	if h.local == nil {
		return 0
	}
	return h.local.Seekdir(ctx, 0)
}

func (h *dirHandle) list(ctx context.Context) syscall.Errno {
	if h.listed {
		return 0
	}
	patient := untilDying(ctx)
	defer patient.stop()
	entries, err := h.node.bucketEntries(patient)
	if err != nil {
		return h.node.tree.fail("readdir", err)
	}
	slices.SortFunc(entries, func(a, b fuse.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	if errno := h.listLocal(ctx); errno != 0 {
		return errno
	}
	h.bucket, h.listed = entries, true
	return 0
}

func (h *dirHandle) listLocal(ctx context.Context) syscall.Errno {
	if h.local != nil {
		return h.rewind(ctx)
	}
	h.next = 0
	d, errno := h.node.localPart()
	if errno == syscall.ENOENT {
		return 0
	}
	if errno != 0 {
		return errno
	}
	defer d.Close()
	h.local, errno = d.List()
	return errno
}

var _ = (gofs.FileReleasedirer)((*dirHandle)(nil))

func (h *dirHandle) Releasedir(ctx context.Context, flags uint32) {
	if h.local != nil {
		h.local.Releasedir(ctx, flags)
	}
}
