package backends_test

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func TestWithPrefix(t *testing.T) {
	for _, prefix := range []string{"root", "a/b c/d", "r%2F+"} {
		t.Run(prefix, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backends.Bucket {
				return backends.WithPrefix(backendtest.NewMem(), prefix)
			})
		})
	}
}

func TestWithPrefixTwice(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Bucket {
		return backends.WithPrefix(backends.WithPrefix(backendtest.NewMem(), "outer"), "inner/most")
	})
}

func TestWithEmptyPrefix(t *testing.T) {
	mem := backendtest.NewMem()
	if b := backends.WithPrefix(mem, ""); b != backends.Bucket(mem) {
		t.Errorf("got %v, want the bucket itself", b)
	}
}

func TestWithPrefixSeesOnlyWhatIsBelow(t *testing.T) {
	ctx := t.Context()
	mem := backendtest.NewMem()
	for _, key := range []string{"a", "roo", "root", "root-", "root/x", "root/y/z", "root/root/x", "root0", "rooty/x", "z/root/x"} {
		if _, err := mem.Create(ctx, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	b := backends.WithPrefix(mem, "root")
	var keys []string
	for obj, err := range backends.All(ctx, b, "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, obj.Key)
		p := make([]byte, 100)
		n, got, err := b.Read(ctx, obj.Key, obj.Version, p, 0)
		if err != nil || string(p[:n]) != "root/"+obj.Key || got != obj {
			t.Errorf("Read %q: got %q of %+v, error %v", obj.Key, p[:n], got, err)
		}
	}
	if want := []string{"root/x", "x", "y/z"}; !slices.Equal(keys, want) {
		t.Errorf("List: got %q, want %q", keys, want)
	}
	if _, err := b.Stat(ctx, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat of what is outside: got error %v", err)
	}
	if err := b.Delete(ctx, "y/z", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := mem.Stat(ctx, "root/y/z"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat of what was deleted: got error %v", err)
	}
}

func TestWithPrefixTellsTheBucket(t *testing.T) {
	mem := backendtest.NewMem()
	b := backends.WithPrefix(mem, "root/deep")
	if got, want := b.String(), "memory, below root/deep"; got != want {
		t.Errorf("String: got %q, want %q", got, want)
	}
	if got := b.(interface{ Unwrap() backends.Bucket }).Unwrap(); got != backends.Bucket(mem) {
		t.Errorf("Unwrap: got %v", got)
	}
	_, err := b.Stat(t.Context(), "x")
	var wrapped *backends.Error
	if !errors.As(err, &wrapped) || wrapped.Key != "root/deep/x" {
		t.Errorf("Stat: error %v does not name the key in the bucket", err)
	}
}
