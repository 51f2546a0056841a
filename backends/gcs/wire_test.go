package gcs

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/server"
)

// TestRequests counts what goes over the wire to a real server.
func TestRequests(t *testing.T) {
	f := newFront(t)
	b := open(t, testConfig(f.URL))
	ctx := t.Context()
	body := make([]byte, 512<<10)
	var obj backends.Object
	read := func(version string, n int, off int64) func() error {
		return func() error {
			if version == "pinned" {
				version = obj.Version
			}
			_, _, err := b.Read(ctx, "a/x", version, make([]byte, n), off)
			return err
		}
	}
	for _, c := range []struct {
		name string
		call func() error
		err  error
		want []string
	}{
		{"stat of a missing object, before any success", stat(ctx, b, "a/x"), fs.ErrNotExist, []string{"GET object", "GET page"}},
		{"stat of a missing object", stat(ctx, b, "a/x"), fs.ErrNotExist, []string{"GET object"}},
		{"read of a missing object", read("", 100, 0), fs.ErrNotExist, []string{"GET bytes"}},
		{"store", func() (err error) { obj, err = b.Create(ctx, "a/x", body); return }, nil, []string{"POST multipart"}},
		{"store over an object", create(ctx, b, "a/x", body), fs.ErrExist, []string{"POST multipart"}},
		{"first read", read("", len(body)+1, 0), nil, []string{"GET bytes"}},
		{"read of the exact size", read("", len(body), 0), nil, []string{"GET bytes"}},
		{"read of a range of a version", read("pinned", 1000, 1000), nil, []string{"GET bytes"}},
		{"read of another version", read("1", 1000, 1000), backends.ErrChanged, []string{"GET bytes"}},
		{"read of nothing", read("", 0, 0), nil, []string{"GET object"}},
		{"read beyond the end", read("", 100, 1<<30), nil, []string{"GET bytes", "GET object"}},
		{"stat", stat(ctx, b, "a/x"), nil, []string{"GET object"}},
		{"list", list(ctx, b, "a/"), nil, []string{"GET page"}},
		{"list of nothing", list(ctx, b, "b/"), nil, []string{"GET page"}},
		{"delete", remove(ctx, b, "a/x"), nil, []string{"DELETE object"}},
		{"delete of a missing object", remove(ctx, b, "a/x"), nil, []string{"DELETE object"}},
		{"store of 16 MiB", create(ctx, b, "a/y", make([]byte, 16<<20)), nil, []string{"POST multipart"}},
		{"store of more", create(ctx, b, "a/z", make([]byte, 40<<20)), nil,
			[]string{"POST resumable", "POST session", "POST session", "POST session"}},
		{"store of 32 MiB", create(ctx, b, "a/w", make([]byte, 32<<20)), nil,
			[]string{"POST resumable", "POST session", "POST session", "POST session"}},
		{"store of more over an object", create(ctx, b, "a/z", make([]byte, 17<<20)), fs.ErrExist,
			[]string{"POST resumable", "POST session", "POST session"}},
	} {
		f.take()
		if err := c.call(); !errors.Is(err, c.err) {
			t.Errorf("%s: got error %v, want %v", c.name, err, c.err)
		}
		if got := f.take(); !slices.Equal(got, c.want) {
			t.Errorf("%s: got requests %q, want %q", c.name, got, c.want)
		}
	}
}

func stat(ctx context.Context, b *Bucket, key string) func() error {
	return func() error { _, err := b.Stat(ctx, key); return err }
}

func create(ctx context.Context, b *Bucket, key string, body []byte) func() error {
	return func() error { _, err := b.Create(ctx, key, body); return err }
}

func remove(ctx context.Context, b *Bucket, key string) func() error {
	return func() error { return b.Delete(ctx, key, "") }
}

func list(ctx context.Context, b *Bucket, prefix string) func() error {
	return func() error {
		_, err := b.List(ctx, backends.ListOptions{Prefix: prefix})
		return err
	}
}

// TestMissingBucket asks the real server without the front: its 404 says
// nothing, so the bucket is listed.
func TestMissingBucket(t *testing.T) {
	cfg := testConfig(server.FakeGCS(t).URL)
	there := open(t, cfg)
	cfg.Bucket = "nowhere"
	gone := open(t, cfg)
	if _, err := there.Stat(t.Context(), "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing object: got error %v", err)
	}
	_, _, readErr := gone.Read(t.Context(), "x", "", make([]byte, 1), 0)
	for op, err := range map[string]error{
		"stat":   stat(t.Context(), gone, "x")(),
		"read":   readErr,
		"delete": remove(t.Context(), gone, "x")(),
		"list":   list(t.Context(), gone, "")(),
	} {
		if !errors.Is(err, ErrNoBucket) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s in a missing bucket: got error %v, want %v", op, err, ErrNoBucket)
		}
	}
}

// TestNames lists what other programs have made.
func TestNames(t *testing.T) {
	b := open(t, testConfig(newFront(t).URL))
	for _, name := range []string{"folder/", "a//b", "ok", "ok/x"} {
		sum := checksum([]byte("x"))
		if _, err := b.insert(name, 0, sum, []byte("x")).Context(t.Context()).Do(); err != nil {
			t.Fatal(err)
		}
	}
	page, err := b.List(t.Context(), backends.ListOptions{})
	if err != nil || len(page.Objects) != 2 || page.Objects[0].Key != "ok" || page.Objects[1].Key != "ok/x" {
		t.Errorf("List: got %+v, error %v", page, err)
	}
	page, err = b.List(t.Context(), backends.ListOptions{Prefix: "a/", Shallow: true})
	if err != nil || len(page.Objects)+len(page.Prefixes) != 0 {
		t.Errorf("shallow List: got %+v, error %v", page, err)
	}
}

// TestStorageClass also proves that the checksum is compared: the emulator
// does for an upload of one piece.
func TestStorageClass(t *testing.T) {
	cfg := testConfig(server.FakeGCS(t).URL)
	cfg.StorageClass = "NEARLINE"
	b := open(t, cfg)
	if _, err := b.Create(t.Context(), "x", []byte("body")); err != nil {
		t.Fatal(err)
	}
	attrs, err := b.handle("x").Attrs(t.Context())
	if err != nil || attrs.StorageClass != "NEARLINE" || attrs.ContentType != contentType {
		t.Errorf("got %+v, error %v", attrs, err)
	}
	if _, err := b.insert("y", 0, checksum([]byte("other")), []byte("body")).Context(t.Context()).Do(); err == nil {
		t.Error("a body that does not match its checksum was stored")
	}
}
