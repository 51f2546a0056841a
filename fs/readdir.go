package fs

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/fs/attachment"
)

var _ = (gofs.NodeOpendirHandler)((*dirNode)(nil))

// OpendirHandle makes no request: a directory is also opened to fsync it.
func (n *dirNode) OpendirHandle(context.Context, uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	return &dirHandle{node: n}, 0, 0
}

var _ = (gofs.NodeReaddirer)((*dirNode)(nil))

// Readdir lists what the bucket holds, and the local files.
func (n *dirNode) Readdir(ctx context.Context) (gofs.DirStream, syscall.Errno) {
	patient := untilDying(ctx)
	defer patient.stop()
	entries, err := n.bucketEntries(patient)
	if err != nil {
		return nil, n.tree.fail("readdir", err)
	}
	locals, err := n.localEntries()
	if err != nil {
		return nil, n.tree.fail("readdir of the local directory", err)
	}
	entries = append(entries, locals...)
	slices.SortFunc(entries, func(a, b fuse.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	entries = slices.CompactFunc(entries, func(a, b fuse.DirEntry) bool { return a.Name == b.Name })
	return gofs.NewListDirStream(entries), 0
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

// localEntries lists the local part of n, without what the layout hides.
func (n *dirNode) localEntries() ([]fuse.DirEntry, error) {
	if !n.hasLocal() {
		return nil, nil
	}
	list, err := os.ReadDir(n.localPath())
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, nil
	}
	var entries []fuse.DirEntry
	for _, e := range list {
		if entry, ok := n.localEntry(e); ok {
			entries = append(entries, entry)
		}
	}
	return entries, err
}

func (n *dirNode) localEntry(e iofs.DirEntry) (fuse.DirEntry, bool) {
	if b, ok := attachment.ParseDir(e.Name()); ok && n.depth < 2 {
		return n.dirEntry(b), true
	}
	info, err := e.Info()
	if n.ours(e.Name()) || err != nil { // hidden, or gone in the meantime
		return fuse.DirEntry{}, false
	}
	st := info.Sys().(*syscall.Stat_t)
	return fuse.DirEntry{Name: e.Name(), Mode: st.Mode, Ino: st.Ino}, true
}

// dirHandle lists its directory when it is first read, and again after
// rewinddir. go-fuse serialises the calls.
type dirHandle struct {
	node    *dirNode
	entries gofs.FileReaddirenter // nil before the first read
}

var _ = (gofs.FileReaddirenter)((*dirHandle)(nil))

func (h *dirHandle) Readdirent(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	if errno := h.list(ctx); errno != 0 {
		return nil, errno
	}
	return h.entries.Readdirent(ctx)
}

var _ = (gofs.FileSeekdirer)((*dirHandle)(nil))

func (h *dirHandle) Seekdir(ctx context.Context, off uint64) syscall.Errno {
	if off == 0 {
		h.entries = nil
		return 0
	}
	if errno := h.list(ctx); errno != 0 {
		return errno
	}
	return h.entries.(gofs.FileSeekdirer).Seekdir(ctx, off)
}

func (h *dirHandle) list(ctx context.Context) syscall.Errno {
	if h.entries != nil {
		return 0
	}
	stream, errno := h.node.Readdir(ctx)
	if errno == 0 {
		h.entries = stream.(gofs.FileReaddirenter)
	}
	return errno
}
