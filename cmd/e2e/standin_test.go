package e2e_test

import (
	"bytes"
	"context"
	"path"
	"sync"
	"syscall"
	"testing"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// standIn is a storage directory in memory that answers as it is told: it shows
// what an Orthanc makes of an answer. The kernel remembers none.
type standIn struct {
	dir string

	mu    sync.Mutex // guards what follows
	fault storageFault
	files map[string][]byte

	inVain  map[uint32]string // by thread, the file of the last lookup that has failed
	unasked int               // removals of the directory of such a file by the thread
}

// storageFault says what goes wrong; zero is nothing.
type storageFault struct {
	lookup syscall.Errno // of every file
	empty  bool          // every file is there, and is empty, at lookup
	read   syscall.Errno // open for reading
	write  syscall.Errno // open for writing
	sync   syscall.Errno // fdatasync, and close where that was not called
	unlink syscall.Errno
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	s := &standIn{dir: t.TempDir(), files: map[string][]byte{}, inVain: map[uint32]string{}}
	server, err := gofs.Mount(s.dir, &standInDir{s: s}, &gofs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *standIn) inject(f storageFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// count returns how many files there are.
func (s *standIn) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.files)
}

// deletesUnasked returns how many deletes have not come as far as to an unlink, and
// could be told nevertheless.
func (s *standIn) deletesUnasked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unasked
}

func thread(ctx context.Context) uint32 {
	c, _ := fuse.FromContext(ctx)
	return c.Pid
}

func (s *standIn) state(name string) (fault storageFault, content []byte, exists bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, exists = s.files[name]
	return s.fault, content, exists
}

// standInDir is the root, AA, or AA/BB; all of those exist.
type standInDir struct {
	gofs.Inode
	s     *standIn
	name  string
	depth int
}

func (d *standInDir) Getattr(_ context.Context, _ gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode = syscall.S_IFDIR | 0o700
	return 0
}

func (d *standInDir) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	full := path.Join(d.name, name)
	if d.depth < 2 {
		out.Mode = syscall.S_IFDIR | 0o700
		return d.NewInode(ctx, &standInDir{s: d.s, name: full, depth: d.depth + 1}, gofs.StableAttr{Mode: syscall.S_IFDIR}), 0
	}
	fault, content, exists := d.s.state(full)
	switch {
	case fault.lookup != 0:
		d.s.mu.Lock()
		defer d.s.mu.Unlock()
		d.s.inVain[thread(ctx)] = full
		return nil, fault.lookup
	case fault.empty:
		content = nil
	case !exists:
		return nil, syscall.ENOENT
	}
	out.Mode, out.Size = syscall.S_IFREG|0o600, uint64(len(content))
	return d.file(ctx, full), 0
}

func (d *standInDir) file(ctx context.Context, name string) *gofs.Inode {
	return d.NewInode(ctx, &standInFile{s: d.s, name: name}, gofs.StableAttr{Mode: syscall.S_IFREG})
}

func (d *standInDir) Create(ctx context.Context, name string, _, _ uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	full := path.Join(d.name, name)
	if fault, _, _ := d.s.state(full); fault.write != 0 {
		return nil, nil, 0, fault.write
	}
	out.Mode = syscall.S_IFREG | 0o600
	return d.file(ctx, full), &standInWriter{s: d.s, name: full}, fuse.FOPEN_DIRECT_IO, 0
}

func (d *standInDir) Unlink(_ context.Context, name string) syscall.Errno {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	if d.s.fault.unlink == 0 {
		delete(d.s.files, path.Join(d.name, name))
	}
	return d.s.fault.unlink
}

func (d *standInDir) Mkdir(context.Context, string, uint32, *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	return nil, syscall.EEXIST
}

func (d *standInDir) Rmdir(ctx context.Context, name string) syscall.Errno {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	if file := d.s.inVain[thread(ctx)]; file != "" && path.Dir(file) == path.Join(d.name, name) {
		d.s.unasked++
		delete(d.s.inVain, thread(ctx))
	}
	return syscall.ENOTEMPTY
}

// standInFile is AA/BB/<uuid>.
type standInFile struct {
	gofs.Inode
	s    *standIn
	name string
}

func (f *standInFile) Getattr(_ context.Context, _ gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	fault, content, _ := f.s.state(f.name)
	if fault.empty {
		content = nil
	}
	out.Mode, out.Size = syscall.S_IFREG|0o600, uint64(len(content))
	return 0
}

// Setattr is called for O_TRUNC.
func (f *standInFile) Setattr(ctx context.Context, h gofs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return f.Getattr(ctx, h, out)
}

func (f *standInFile) Open(_ context.Context, flags uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	fault, content, _ := f.s.state(f.name)
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return &standInWriter{s: f.s, name: f.name}, fuse.FOPEN_DIRECT_IO, fault.write
	}
	return &standInReader{content: content}, fuse.FOPEN_DIRECT_IO, fault.read
}

type standInReader struct{ content []byte }

func (r *standInReader) Read(_ context.Context, p []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	rest := r.content[min(off, int64(len(r.content))):]
	return fuse.ReadResultData(rest[:min(len(rest), len(p))]), 0
}

type standInWriter struct {
	s    *standIn
	name string

	mu      sync.Mutex // guards what follows
	content bytes.Buffer
	clean   bool
}

func (w *standInWriter) Write(_ context.Context, p []byte, _ int64) (uint32, syscall.Errno) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.content.Write(p)
	w.clean = false
	return uint32(len(p)), 0
}

func (w *standInWriter) Fsync(context.Context, uint32) syscall.Errno { return w.commit() }
func (w *standInWriter) Flush(context.Context) syscall.Errno         { return w.commit() }

// commit stores what Fsync or Flush finds unsaved. An error is told once.
func (w *standInWriter) commit() syscall.Errno {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clean {
		return 0
	}
	w.clean = true
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.fault.sync == 0 {
		w.s.files[w.name] = bytes.Clone(w.content.Bytes())
	}
	return w.s.fault.sync
}
