package attachment

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
)

// observations collects operations, as "kind key size [memory] [error]".
type observations struct {
	mu   sync.Mutex // guards told
	told []string
}

func (o *observations) observe(op Operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := fmt.Sprintf("%s %s %d", op.Kind, op.Key, op.Size)
	if op.FromMemory {
		text += " memory"
	}
	if op.Err != nil {
		text += " error"
	}
	if op.Duration <= 0 {
		text += " in no time"
	}
	o.told = append(o.told, text)
}

func (o *observations) want(t *testing.T, want ...string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.told, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(o.told, "\n"), strings.Join(want, "\n"))
	}
	o.told = nil
}

func TestOperationsAreObserved(t *testing.T) {
	var o observations
	r := newRig(t, Sealed(testRing(t, 1)), func(opts *Options) { opts.Observe = o.observe })
	defer r.done(t)
	u := testUUID(1)
	key := u.Key()
	if _, err := r.Stat(t.Context(), u); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	o.want(t, "stat "+key+" 0 error")
	store(t, r, u, make([]byte, 500))
	o.want(t, "store "+key+" 500")
	for _, from := range []string{"", " memory"} {
		info, err := r.Stat(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		f, err := r.Open(t.Context(), info)
		if err != nil {
			t.Fatal(err)
		}
		if n := r.Counters.Open.Load(); n != 1 {
			t.Errorf("%d files are open, want 1", n)
		}
		f.Close()
		f.Close()
		o.want(t, "stat "+key+" 500 memory", "read "+key+" 500"+from)
	}
	if err := r.Delete(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	o.want(t, "delete "+key+" 0")
	if _, err := r.Dirs(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.want(t, "list  0")
	for name, n := range map[string]int64{
		"open": r.Counters.Open.Load(), "writing": r.Counters.Writing.Load(), "committing": r.Counters.Committing.Load(),
	} {
		if n != 0 {
			t.Errorf("%s: %d in the end", name, n)
		}
	}
}

// A Writer counts as one that is being written until it has ended, however.
func TestWritersAreCounted(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	defer r.done(t)
	for name, end := range map[string]func(*Writer){
		"commit":  func(w *Writer) { _, _ = w.Commit(t.Context()) },
		"discard": (*Writer).Discard,
		"delete":  func(w *Writer) { w.Delete() },
		"failure": func(w *Writer) { _ = w.WriteAt(t.Context(), []byte("x"), testLimit) },
		"empty commit, reopened": func(w *Writer) {
			_, _ = w.Commit(t.Context())
			if err := w.Reopen(t.Context()); err != nil || r.Counters.Writing.Load() != 1 {
				t.Errorf("%d are writing, error %v", r.Counters.Writing.Load(), err)
			}
			w.Discard()
		},
	} {
		w := r.Create(testUUID(len(name)))
		if n := r.Counters.Writing.Load(); n != 1 {
			t.Errorf("%s: %d are writing, want 1", name, n)
		}
		end(w)
		w.Discard()
		if n := r.Counters.Writing.Load(); n != 0 {
			t.Errorf("%s: %d are writing in the end", name, n)
		}
	}
}
