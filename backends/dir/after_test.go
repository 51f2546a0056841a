package dir

import (
	"context"
	"os"
	"runtime"
	"testing"
)

// Nothing of a call goes on when it has returned, also if its context ends in
// the midst of it: there is nobody left to do it.
func TestNothingGoesOnAfterACall(t *testing.T) {
	for name, call := range map[string]func(context.Context, *Bucket, string) error{
		"create": func(ctx context.Context, b *Bucket, _ string) error {
			_, err := b.Create(ctx, "d/new", make([]byte, 2*writePiece))
			return err
		},
		"replace": func(ctx context.Context, b *Bucket, version string) error {
			_, err := b.Replace(ctx, "d/x", version, make([]byte, 2*writePiece))
			return err
		},
		"delete":              func(ctx context.Context, b *Bucket, _ string) error { return b.Delete(ctx, "d/x", "") },
		"delete of a version": func(ctx context.Context, b *Bucket, version string) error { return b.Delete(ctx, "d/x", version) },
	} {
		for _, cancelled := range []bool{false, true} {
			b := open(t, t.TempDir())
			obj, err := b.Create(t.Context(), "d/x", []byte("body"))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			b.sync = func(f *os.File) error {
				if cancelled {
					cancel()
				}
				return f.Sync()
			}
			before := runtime.NumGoroutine()
			err = call(ctx, b, obj.Version)
			if after := runtime.NumGoroutine(); after != before {
				t.Errorf("%s: %d goroutines before, %d after, error %v", name, before, after, err)
			}
			cancel()
		}
	}
}
