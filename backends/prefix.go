package backends

import (
	"context"
	"strings"
)

// WithPrefix returns the part of b below prefix as a bucket of its own: the
// object "x" there is "prefix/x" in b. An empty prefix returns b itself; any
// other must have passed CheckKey.
//
// Errors name the object by its key in b, where an administrator finds it.
func WithPrefix(b Bucket, prefix string) Bucket {
	if prefix == "" {
		return b
	}
	return &prefixed{b, prefix + "/"}
}

type prefixed struct {
	inner Bucket
	dir   string // ends in "/"
}

// Unwrap returns the whole bucket.
func (b *prefixed) Unwrap() Bucket { return b.inner }

func (b *prefixed) String() string {
	return b.inner.String() + ", below " + strings.TrimSuffix(b.dir, "/")
}

func (b *prefixed) Stat(ctx context.Context, key string) (Object, error) {
	obj, err := b.inner.Stat(ctx, b.dir+key)
	return b.strip(obj), err
}

func (b *prefixed) Read(ctx context.Context, key, version string, p []byte, off int64) (int, Object, error) {
	n, obj, err := b.inner.Read(ctx, b.dir+key, version, p, off)
	return n, b.strip(obj), err
}

func (b *prefixed) Create(ctx context.Context, key string, body []byte) (Object, error) {
	obj, err := b.inner.Create(ctx, b.dir+key, body)
	return b.strip(obj), err
}

func (b *prefixed) Replace(ctx context.Context, key, version string, body []byte) (Object, error) {
	obj, err := b.inner.Replace(ctx, b.dir+key, version, body)
	return b.strip(obj), err
}

func (b *prefixed) Delete(ctx context.Context, key, version string) error {
	return b.inner.Delete(ctx, b.dir+key, version)
}

// List passes tokens through: what they mean is the inner bucket's business.
func (b *prefixed) List(ctx context.Context, opts ListOptions) (Page, error) {
	opts.Prefix = b.dir + opts.Prefix
	page, err := b.inner.List(ctx, opts)
	for i := range page.Objects {
		page.Objects[i] = b.strip(page.Objects[i])
	}
	for i := range page.Prefixes {
		page.Prefixes[i] = strings.TrimPrefix(page.Prefixes[i], b.dir)
	}
	return page, err
}

func (b *prefixed) strip(obj Object) Object {
	obj.Key = strings.TrimPrefix(obj.Key, b.dir)
	return obj
}
