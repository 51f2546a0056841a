package backendtest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"orthanc-bucketfs/backends"
)

// broken is a bucket with methods replaced.
type broken struct {
	backends.Bucket
	stat    func(ctx context.Context, key string) (backends.Object, error)
	read    func(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error)
	create  func(ctx context.Context, key string, body []byte) (backends.Object, error)
	replace func(ctx context.Context, key, version string, body []byte) (backends.Object, error)
	remove  func(ctx context.Context, key, version string) error
	list    func(ctx context.Context, opts backends.ListOptions) (backends.Page, error)
}

func (b *broken) Stat(ctx context.Context, key string) (backends.Object, error) {
	if b.stat != nil {
		return b.stat(ctx, key)
	}
	return b.Bucket.Stat(ctx, key)
}

func (b *broken) Read(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
	if b.read != nil {
		return b.read(ctx, key, version, p, off)
	}
	return b.Bucket.Read(ctx, key, version, p, off)
}

func (b *broken) Create(ctx context.Context, key string, body []byte) (backends.Object, error) {
	if b.create != nil {
		return b.create(ctx, key, body)
	}
	return b.Bucket.Create(ctx, key, body)
}

func (b *broken) Replace(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
	if b.replace != nil {
		return b.replace(ctx, key, version, body)
	}
	return b.Bucket.Replace(ctx, key, version, body)
}

func (b *broken) Delete(ctx context.Context, key, version string) error {
	if b.remove != nil {
		return b.remove(ctx, key, version)
	}
	return b.Bucket.Delete(ctx, key, version)
}

func (b *broken) List(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
	if b.list != nil {
		return b.list(ctx, opts)
	}
	return b.Bucket.List(ctx, opts)
}

// recorder collects what a check finds.
type recorder struct {
	ctx   context.Context
	mu    sync.Mutex
	found []string // guarded by mu
}

func (r *recorder) Helper() {}

func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// findings runs a check against b.
func findings(ctx context.Context, c check, b backends.Bucket) []string {
	r := &recorder{ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(newProbe(r, b))
	}()
	<-done
	return r.found
}

// TestSuiteFindsDefects breaks one promise at a time, and wants the check of
// that promise to fail. Every check must have failed at least once.
func TestSuiteFindsDefects(t *testing.T) {
	left := make(map[string]bool)
	for _, c := range checks() {
		left[c.name] = true
	}
	for _, d := range slices.Concat(
		readDefects(), createDefects(), replaceDefects(), missingDefects(), deleteDefects(), conditionalDeleteDefects(), keyDefects(),
		listDefects(), shallowDefects(), callDefects(), contextDefects(),
	) {
		t.Run(d.name, func(t *testing.T) {
			i := slices.IndexFunc(checks(), func(c check) bool { return c.name == d.check })
			if i < 0 {
				t.Fatalf("there is no check %q", d.check)
			}
			delete(left, d.check)
			b := &broken{Bucket: NewMem()}
			d.breakIt(b, b.Bucket.(*Mem))
			found := findings(t.Context(), checks()[i], b)
			if len(found) == 0 {
				t.Errorf("%q passes", d.check)
			}
			t.Logf("%q: %.200q", d.check, found)
		})
	}
	for name := range left {
		t.Errorf("no defect makes %q fail", name)
	}
}

// defect breaks a bucket so that check must fail.
type defect struct {
	name    string
	check   string
	breakIt func(b *broken, m *Mem)
}
