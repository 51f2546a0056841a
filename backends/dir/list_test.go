package dir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"orthanc-bucketfs/backends"
)

// countingContext counts the looks at it. A listing looks once when it starts,
// and at least once for each directory that it reads.
type countingContext struct {
	context.Context
	looks int
}

func (c *countingContext) Err() error {
	c.looks++
	return c.Context.Err()
}

// TestListIsLazy reads pages of a tree of 20 directories with 20 directories
// each, and no directory that the page does not need.
func TestListIsLazy(t *testing.T) {
	b := open(t, t.TempDir())
	for i := range 20 {
		for j := range 20 {
			dir := filepath.Join(b.root.Name(), fmt.Sprintf("%02d/%02d", i, j))
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	const batches = 2 // a directory is read until a batch of its entries is empty
	for _, c := range []struct {
		opts backends.ListOptions
		dirs int
	}{
		{backends.ListOptions{Limit: 1}, 1 + 1 + 2},
		{backends.ListOptions{Limit: 1, Token: "10/10/x"}, 1 + 1 + 3},
		{backends.ListOptions{Limit: 1, Prefix: "10/10"}, 1 + 1},
		{backends.ListOptions{Limit: 1, Prefix: "10/10/"}, 1},
		{backends.ListOptions{Limit: 1, Prefix: "10/10/x"}, 1},
		{backends.ListOptions{Limit: 5, Prefix: "1"}, 1 + 1 + 6},
		{backends.ListOptions{Prefix: "10/"}, 1 + 20},
		{backends.ListOptions{Prefix: "xx/"}, 0},
		{backends.ListOptions{Prefix: "10/", Shallow: true, Limit: 2}, 1 + 3},
		{backends.ListOptions{Shallow: true, Limit: 2}, 1 + 3*(1+2)},
	} {
		ctx := &countingContext{Context: t.Context()}
		if _, err := b.List(ctx, c.opts); err != nil {
			t.Fatal(err)
		}
		if want := 1 + batches*c.dirs; ctx.looks > want {
			t.Errorf("List %+v: looked at its context %d times, want at most %d", c.opts, ctx.looks, want)
		}
	}
}

func TestListPagesOfTheirOwnSize(t *testing.T) {
	b := open(t, t.TempDir())
	for i := range pageSize + 1 {
		if err := os.WriteFile(filepath.Join(b.root.Name(), fmt.Sprintf("%05d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page, err := b.List(t.Context(), backends.ListOptions{})
	if err != nil || len(page.Objects) != pageSize || page.Next == "" {
		t.Errorf("got %d objects, next %q, error %v", len(page.Objects), page.Next, err)
	}
	page, err = b.List(t.Context(), backends.ListOptions{Token: page.Next})
	if err != nil || len(page.Objects) != 1 || page.Next != "" {
		t.Errorf("got %d objects, next %q, error %v", len(page.Objects), page.Next, err)
	}
}

// stopping ends at its nth look.
type stopping struct {
	context.Context
	cancel context.CancelFunc
	left   int
}

func (s *stopping) Err() error {
	if s.left--; s.left <= 0 {
		s.cancel()
	}
	return s.Context.Err()
}

func TestListCancelledUnderWay(t *testing.T) {
	b := open(t, t.TempDir())
	for i := range 10 {
		create(t, b, fmt.Sprintf("%d/x", i), "")
	}
	for n := 1; n <= 10; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := b.List(&stopping{ctx, cancel, n}, backends.ListOptions{})
		wantPlain(t, "List", err, context.Canceled)
		cancel()
	}
}
