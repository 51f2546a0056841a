package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenSweeps(t *testing.T) {
	b := open(t, t.TempDir())
	path := b.root.Name()
	held, err := b.newTemp()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"left-1", "left-2"} {
		if err := os.WriteFile(filepath.Join(path, tmpDir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(path, tmpDir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Base(held.name), "directory"}
	slices.Sort(want)
	open(t, path)
	if got := contents(t, path, tmpDir); !slices.Equal(got, want) {
		t.Errorf("after the sweep there are %q, want %q", got, want)
	}
	held.discard()
	open(t, path)
	if got := contents(t, path, tmpDir); !slices.Equal(got, []string{"directory"}) {
		t.Errorf("after discard there are %q", got)
	}
}

// TestSweepKeepsObjects: a Create may be killed when its file has both names.
func TestSweepKeepsObjects(t *testing.T) {
	b := open(t, t.TempDir())
	path := b.root.Name()
	create(t, b, "x", "body")
	if err := os.Link(filepath.Join(path, "x"), filepath.Join(path, tmpDir, "left")); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if got := contents(t, path, tmpDir); len(got) > 0 {
		t.Errorf("temporary files are left: %q", got)
	}
	if got := listAll(t, b, ""); !slices.Equal(got, []string{"x"}) {
		t.Errorf("List: got %q", got)
	}
}

// TestSweepFollowsNoLink keeps a sweep out of the objects.
func TestSweepFollowsNoLink(t *testing.T) {
	for _, target := range []string{"dir", "."} {
		path := t.TempDir()
		if err := os.MkdirAll(filepath.Join(path, "dir"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "dir/x"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(path, tmpDir)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !errors.Is(err, syscall.ELOOP) {
			t.Errorf("Open: got error %v, want %v", err, syscall.ELOOP)
		}
		if got := contents(t, path, "dir"); !slices.Equal(got, []string{"x"}) {
			t.Errorf("the directory holds %q", got)
		}
	}
}

// TestLockAfterSweep plays a sweep between the creation and the lock of a
// temporary file, finished and under way.
func TestLockAfterSweep(t *testing.T) {
	b := open(t, t.TempDir())
	create(t, b, "x", "")
	newFile := func(name string) *temp {
		f, err := b.root.Create(tmpDir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return &temp{b.root, f, tmpDir + "/" + name}
	}
	swept := newFile("swept")
	if err := b.sweep(); err != nil {
		t.Fatal(err)
	}
	if kept, err := swept.lock(); kept || err != nil {
		t.Errorf("lock of a swept file: %t, error %v", kept, err)
	}
	newFile("swept")
	if kept, err := swept.lock(); kept || err != nil {
		t.Errorf("lock of a file whose name is another's: %t, error %v", kept, err)
	}
	locked := newFile("locked")
	sweeper, err := b.root.Open(locked.name)
	if err != nil {
		t.Fatal(err)
	}
	defer sweeper.Close()
	if ok, err := tryLock(sweeper); !ok || err != nil {
		t.Fatalf("tryLock: %t, error %v", ok, err)
	}
	if kept, err := locked.lock(); kept || err != nil {
		t.Errorf("lock of a file that a sweep holds: %t, error %v", kept, err)
	}
}

func TestLockTellsErrors(t *testing.T) {
	f, err := os.OpenFile(t.TempDir(), unix.O_PATH, 0) // flock(2) refuses its descriptor
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if locked, err := tryLock(f); locked || !errors.Is(err, syscall.EBADF) {
		t.Errorf("tryLock: %t, error %v, want %v", locked, err, syscall.EBADF)
	}
}

func TestCreateWhileOthersSweep(t *testing.T) {
	b := open(t, t.TempDir())
	b.sync = func(*os.File) error { return nil }
	stop := make(chan struct{})
	var sweepers, creators sync.WaitGroup
	for range 2 {
		sweepers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := b.sweep(); err != nil {
					t.Errorf("sweep: %v", err)
				}
			}
		})
	}
	for i := range 4 {
		creators.Go(func() {
			for j := range 100 {
				if _, err := b.Create(t.Context(), fmt.Sprintf("d%d/%d", i, j), []byte("body")); err != nil {
					t.Errorf("Create: %v", err)
				}
			}
		})
	}
	creators.Wait()
	close(stop)
	sweepers.Wait()
	if got := listAll(t, b, ""); len(got) != 400 {
		t.Errorf("List: got %d objects, want 400", len(got))
	}
}

func TestSweepLeavesWhatItMayNotRemove(t *testing.T) {
	enterPublicDir(t)
	if err := os.Mkdir(tmpDir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o400, 0o666} {
		left := filepath.Join(tmpDir, mode.String())
		if err := os.WriteFile(left, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(left, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []fs.FileMode{0, 0o555} {
		if err := os.Chmod(tmpDir, mode); err != nil {
			t.Fatal(err)
		}
		unprivileged(func() {
			b, err := Open(".")
			if err != nil {
				t.Errorf("Open with mode %v: %v", mode, err)
				return
			}
			b.Close()
		})
	}
	if err := os.Chmod(tmpDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, tmpDir); len(got) != 2 {
		t.Errorf("%q are left of 2 files", got)
	}
}

func TestTolerate(t *testing.T) {
	for _, c := range []struct {
		err, want error
	}{
		{syscall.EROFS, nil},
		{syscall.EACCES, nil},
		{syscall.EPERM, nil},
		{syscall.ENOENT, nil},
		{syscall.EIO, syscall.EIO},
		{syscall.EMFILE, syscall.EMFILE},
	} {
		if got := tolerate(&fs.PathError{Err: c.err}); !errors.Is(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
	}
}
