package dir

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/backends"
)

var _ backends.Inspector = (*Bucket)(nil)

// wantFailure wants the item to have failed, for a reason that holds the word,
// and nothing before it; an empty item is none.
func wantFailure(t *testing.T, findings []backends.Finding, item, word string) {
	t.Helper()
	i := slices.IndexFunc(findings, func(f backends.Finding) bool { return f.Err != nil })
	switch {
	case i < 0 && item != "":
		t.Errorf("%s has not failed: %v", item, findings)
	case i >= 0 && item == "":
		t.Errorf("%s has failed: %v", findings[i].Item, findings[i].Err)
	case i >= 0 && (findings[i].Item != item || !strings.Contains(findings[i].Err.Error(), word)):
		t.Errorf("got %s: %v; want %s, with %q", findings[i].Item, findings[i].Err, item, word)
	}
}

func openDir(t *testing.T, path string) *Bucket {
	t.Helper()
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestInspect(t *testing.T) {
	path := t.TempDir()
	b := openDir(t, path)
	wantFailure(t, b.Inspect(t.Context(), "below/probe"), "", "")
	for _, dir := range []string{"below", tmpDir} {
		if entries, err := os.ReadDir(filepath.Join(path, dir)); len(entries) != 0 || err != nil {
			t.Errorf("left in %s: %v, %v", dir, entries, err)
		}
	}
}

func TestInspectWithoutStoring(t *testing.T) {
	path := t.TempDir()
	findings := openDir(t, path).Inspect(t.Context(), "")
	wantFailure(t, findings, "", "")
	if entries, err := os.ReadDir(path); len(entries) != 0 || err != nil || len(findings) == 0 {
		t.Errorf("%d findings; in the directory: %v, %v", len(findings), entries, err)
	}
}

func TestInspectSync(t *testing.T) {
	b := openDir(t, t.TempDir())
	b.sync = func(*os.File) error { return syscall.EINVAL }
	wantFailure(t, b.Inspect(t.Context(), "probe"), "fsync", "local file system")
	b.sync = func(f *os.File) error {
		if fi, err := f.Stat(); err == nil && fi.IsDir() {
			return syscall.EINVAL
		}
		return nil
	}
	wantFailure(t, b.Inspect(t.Context(), "probe"), "fsync", "a directory cannot")
}

func TestInspectMode(t *testing.T) {
	path := t.TempDir()
	if err := os.Chmod(path, 0o770); err != nil {
		t.Fatal(err)
	}
	findings := openDir(t, path).Inspect(t.Context(), "")
	if findings[0].Item != "directory" || !strings.Contains(findings[0].Warning, "chmod 700") {
		t.Errorf("got %v", findings)
	}
}

func TestDescribeSpace(t *testing.T) {
	const gib = 1 << 30
	for _, test := range []struct {
		free, total uint64
		warns       bool
	}{
		{0, 100 * gib, true},
		{4 * gib, 100 * gib, true},
		{5 * gib, 100 * gib, false},
		{20 * gib, 1000 * gib, false},
		{9 * gib, 1000 * gib, true},
	} {
		if found := describeSpace(test.free, test.total); (found.Warning != "") != test.warns {
			t.Errorf("%+v: %+v", test, found)
		}
	}
}

// poor is a file system that lacks one thing.
type poor struct {
	*gofs.LoopbackNode
	links, nanoseconds bool
}

func (n *poor) WrapChild(_ context.Context, child gofs.InodeEmbedder) gofs.InodeEmbedder {
	return &poor{child.(*gofs.LoopbackNode), n.links, n.nanoseconds}
}

func (n *poor) Link(ctx context.Context, target gofs.InodeEmbedder, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if !n.links {
		return nil, syscall.EPERM // as vfat answers
	}
	return n.LoopbackNode.Link(ctx, target, name, out)
}

func (n *poor) Getattr(ctx context.Context, f gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	errno := n.LoopbackNode.Getattr(ctx, f, out)
	n.blur(&out.Attr)
	return errno
}

func (n *poor) Setattr(ctx context.Context, f gofs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	errno := n.LoopbackNode.Setattr(ctx, f, in, out)
	n.blur(&out.Attr)
	return errno
}

func (n *poor) blur(a *fuse.Attr) {
	if !n.nanoseconds {
		a.Mtimensec = 0
	}
}

// mountPoor mounts a file system without what is false, and returns where.
func mountPoor(t *testing.T, links, nanoseconds bool) string {
	t.Helper()
	data, at := t.TempDir(), t.TempDir()
	root := &poor{&gofs.LoopbackNode{RootData: &gofs.LoopbackRoot{Path: data}}, links, nanoseconds}
	server, err := gofs.Mount(at, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return at
}

func TestInspectFileSystem(t *testing.T) {
	for name, test := range map[string]struct {
		links, nanoseconds bool
		item, word         string
	}{
		"whole":         {true, true, "", ""},
		"no hard links": {false, true, "hard links", "operation not permitted: use a local file system"},
		"coarse times":  {true, false, "time stamps", "nanosecond"},
	} {
		t.Run(name, func(t *testing.T) {
			b := openDir(t, mountPoor(t, test.links, test.nanoseconds))
			findings := b.Inspect(t.Context(), "probe")
			b.Close()
			wantFailure(t, findings, test.item, test.word)
		})
	}
}
