package dir

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// syncs lets hook see each sync with the name in the bucket of what is synced,
// before it is done.
func syncs(b *Bucket, hook func(name string) error) {
	b.sync = func(f *os.File) error {
		name, err := filepath.Rel(b.root.Name(), f.Name())
		if err == nil {
			err = hook(name)
		}
		if err != nil {
			return err
		}
		return f.Sync()
	}
}

func isTemp(name string) bool { return strings.HasPrefix(name, tmpDir+"/") }

// wantNothing reports an object under key, and temporary files.
func wantNothing(t *testing.T, b *Bucket, key string) {
	t.Helper()
	if _, err := b.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat %s: got error %v, want %v", key, err, fs.ErrNotExist)
	}
	if left := contents(t, b.root.Name(), tmpDir); len(left) > 0 {
		t.Errorf("temporary files are left: %q", left)
	}
}

func TestCreateSyncsInOrder(t *testing.T) {
	b := open(t, t.TempDir())
	for _, key := range []string{"AA/BB/x", "AA/BB/y"} {
		var order []string
		syncs(b, func(name string) error {
			if isTemp(name) {
				name = "temporary file"
			}
			_, err := os.Lstat(filepath.Join(b.root.Name(), key))
			if visible := err == nil; visible != (name == "AA/BB") {
				t.Errorf("while %s is synced the object is visible: %t", name, visible)
			}
			order = append(order, name)
			return nil
		})
		create(t, b, key, "body")
		if want := []string{"temporary file", ".", "AA", "AA/BB"}; !slices.Equal(order, want) {
			t.Errorf("synced %q, want %q", order, want)
		}
	}
}

// TestModifiedIsTheClock: the kernel's own time of a write may lag behind by a
// timer tick, so Create sets it. That it does so after the last write shows in
// the time of access, which no write changes.
func TestModifiedIsTheClock(t *testing.T) {
	b := open(t, t.TempDir())
	past := time.Now().Add(-time.Hour)
	before := time.Now().Round(0)
	syncs(b, func(name string) error {
		if fi, err := b.root.Lstat(name); err != nil || !isTemp(name) || fi.Size() != writePiece {
			return err
		}
		return b.root.Chtimes(name, past, past)
	})
	obj, err := b.Create(t.Context(), "x", make([]byte, writePiece+1))
	if err != nil {
		t.Fatal(err)
	}
	after := time.Now().Round(0)
	if obj.Modified.Before(before) || obj.Modified.After(after) {
		t.Errorf("Modified is %v, want a time from %v to %v", obj.Modified, before, after)
	}
	fi, err := b.root.Lstat("x")
	if err != nil {
		t.Fatal(err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	if obj.Modified.UnixNano() != st.Mtim.Nano() {
		t.Errorf("Modified is %v, want that of the file, %v", obj.Modified, st.Mtim)
	}
	if st.Atim != st.Mtim {
		t.Errorf("time of access is %v, want that of modification, %v", st.Atim, st.Mtim)
	}
}

func TestDeleteSyncs(t *testing.T) {
	b := open(t, t.TempDir())
	create(t, b, "AA/x", "body")
	var order []string
	syncs(b, func(name string) error {
		order = append(order, name)
		_, err := os.Lstat(filepath.Join(b.root.Name(), "AA/x"))
		if err == nil {
			t.Errorf("while %s is synced the object is still there", name)
		}
		return nil
	})
	for range 2 {
		if err := b.Delete(t.Context(), "AA/x", ""); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"AA", "AA"}; !slices.Equal(order, want) {
		t.Errorf("synced %q, want %q", order, want)
	}
	syncs(b, func(string) error { return syscall.EIO })
	wantPlain(t, "Delete", b.Delete(t.Context(), "AA/x", ""), syscall.EIO)
}

func TestCreateFailsWithTheSync(t *testing.T) {
	for _, failing := range []string{"temporary file", ".", "AA", "AA/BB"} {
		for _, cause := range []error{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT} {
			b := open(t, t.TempDir())
			syncs(b, func(name string) error {
				if name == failing || isTemp(name) && failing == "temporary file" {
					return cause
				}
				return nil
			})
			_, err := b.Create(t.Context(), "AA/BB/x", []byte("body"))
			wantPlain(t, "Create while the sync of "+failing+" fails", err, cause)
			wantNothing(t, b, "AA/BB/x")
		}
	}
}

// TestTakeBackSparesOthers lets somebody else replace the object just before
// its Create fails.
func TestTakeBackSparesOthers(t *testing.T) {
	b := open(t, t.TempDir())
	other := open(t, b.root.Name())
	syncs(b, func(name string) error {
		if name != "AA" {
			return nil
		}
		if err := other.Delete(t.Context(), "AA/x", ""); err != nil {
			t.Error(err)
		}
		create(t, other, "AA/x", "other")
		return syscall.EIO
	})
	_, err := b.Create(t.Context(), "AA/x", []byte("body"))
	wantPlain(t, "Create", err, syscall.EIO)
	p := make([]byte, 10)
	n, _, err := b.Read(t.Context(), "AA/x", "", p, 0)
	if err != nil || string(p[:n]) != "other" {
		t.Errorf("Read: got %q, error %v", p[:n], err)
	}
}

func TestCreateCancelledUnderWay(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 2*writePiece+1)
	for _, c := range []struct {
		name      string
		cancelAt  func(name string, n int) bool
		wantSyncs int
	}{
		{"after the first piece", func(_ string, n int) bool { return n == 1 }, 1},
		{"after the last piece", func(_ string, n int) bool { return n == 3 }, 4},
		{"while directories are made", func(name string, _ int) bool { return name == "." }, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, t.TempDir())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			n := 0
			syncs(b, func(name string) error {
				n++
				if c.cancelAt(name, n) {
					cancel()
				}
				return nil
			})
			_, err := b.Create(ctx, "AA/x", body)
			wantPlain(t, "Create", err, context.Canceled)
			wantNothing(t, b, "AA/x")
			if n != c.wantSyncs {
				t.Errorf("%d syncs, want %d", n, c.wantSyncs)
			}
		})
	}
}

// TestCreateCancelledTooLate: what is visible is made durable.
func TestCreateCancelledTooLate(t *testing.T) {
	b := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	syncs(b, func(name string) error {
		if name == "AA" {
			cancel()
		}
		return nil
	})
	obj, err := b.Create(ctx, "AA/x", []byte("body"))
	if err != nil || obj.Size != 4 {
		t.Errorf("Create: got %+v, error %v", obj, err)
	}
}

// TestDirectoriesMayBeRemoved removes the empty directory between its making
// and the link, once and always.
func TestDirectoriesMayBeRemoved(t *testing.T) {
	for _, times := range []int{1, 1 << 30} {
		b := open(t, t.TempDir())
		removed := 0
		syncs(b, func(name string) error {
			if name == "AA" && removed < times {
				removed++
				return os.Remove(filepath.Join(b.root.Name(), "AA/BB"))
			}
			return nil
		})
		_, err := b.Create(t.Context(), "AA/BB/x", []byte("body"))
		if times == 1 {
			if err != nil {
				t.Errorf("Create: %v", err)
			}
			continue
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			t.Errorf("Create: got error %v", err)
		}
		if removed != linkRetries {
			t.Errorf("tried %d times, want %d", removed, linkRetries)
		}
		wantNothing(t, b, "AA/BB/x")
	}
}
