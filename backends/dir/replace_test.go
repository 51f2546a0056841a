package dir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// While somebody replaces an object, be it another process, nobody deletes it,
// for it would come back, and nobody else replaces it.
func TestReplacingExcludesOthers(t *testing.T) {
	const patience = 50 * time.Millisecond
	root := t.TempDir()
	b, other := open(t, root), open(t, root)
	obj, err := b.Create(t.Context(), "d/x", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	held, err := b.lockObject(t.Context(), "d/x")
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(context.Context) error{
		"Delete": func(ctx context.Context) error { return other.Delete(ctx, "d/x", "") },
		"Replace": func(ctx context.Context) error {
			_, err := other.Replace(ctx, "d/x", obj.Version, []byte("two"))
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want %v", name, err, context.DeadlineExceeded)
		}
		cancel()
		if now, err := b.Stat(t.Context(), "d/x"); err != nil || now.Version != obj.Version {
			t.Errorf("after %s: %+v, %v", name, now, err)
		}
	}
	held.Close()
	if err := other.Delete(t.Context(), "d/x", ""); err != nil {
		t.Error(err)
	}
}

// What an administrator has made read-only can be deleted as before.
func TestDeleteOfAReadOnlyFile(t *testing.T) {
	root := t.TempDir()
	b := open(t, root)
	if _, err := b.Create(t.Context(), "x", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(root, "x"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "x", ""); err != nil {
		t.Error(err)
	}
}
