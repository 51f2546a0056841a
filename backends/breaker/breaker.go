package breaker

import (
	"context"
	"log/slog"
	"time"

	"orthanc-bucketfs/backends"
)

// Options say how a Bucket finds out that the store is back.
type Options struct {
	// ProbeRead and ProbeWrite make a request to the bucket inside that reads, or
	// that changes something. They return nil if it was answered.
	ProbeRead, ProbeWrite func(context.Context) error

	Patience time.Duration // for one probe
	Pause    time.Duration // between two
	Wait     time.Duration // how long a circuit is open before it refuses calls
	Log      *slog.Logger
}

// Bucket is a bucket with a circuit breaker. Close ends its probes.
type Bucket struct {
	inner       backends.Bucket
	read, write *circuit
}

// New returns b with a circuit breaker.
func New(b backends.Bucket, o Options) *Bucket {
	return &Bucket{
		inner: b,
		read:  newCircuit("reading", o.ProbeRead, o),
		write: newCircuit("writing", o.ProbeWrite, o),
	}
}

// Close waits for probes under way to end. Calls may still be made.
func (b *Bucket) Close() error {
	b.read.close()
	b.write.close()
	return nil
}

// Away reports whether calls that read, and those that change something, are
// refused.
func (b *Bucket) Away() (read, write bool) { return b.read.refuses(), b.write.refuses() }

// Unwrap returns the bucket inside.
func (b *Bucket) Unwrap() backends.Bucket { return b.inner }

func (b *Bucket) String() string { return b.inner.String() }

func (b *Bucket) Stat(ctx context.Context, key string) (obj backends.Object, err error) {
	err = b.read.do(ctx, "stat", key, func() (err error) {
		obj, err = b.inner.Stat(ctx, key)
		return err
	})
	return obj, err
}

func (b *Bucket) Read(ctx context.Context, key, version string, p []byte, off int64) (n int, obj backends.Object, err error) {
	err = b.read.do(ctx, "read", key, func() (err error) {
		n, obj, err = b.inner.Read(ctx, key, version, p, off)
		return err
	})
	return n, obj, err
}

func (b *Bucket) Create(ctx context.Context, key string, body []byte) (obj backends.Object, err error) {
	err = b.write.do(ctx, "create", key, func() (err error) {
		obj, err = b.inner.Create(ctx, key, body)
		return err
	})
	return obj, err
}

func (b *Bucket) Replace(ctx context.Context, key, version string, body []byte) (obj backends.Object, err error) {
	err = b.write.do(ctx, "replace", key, func() (err error) {
		obj, err = b.inner.Replace(ctx, key, version, body)
		return err
	})
	return obj, err
}

func (b *Bucket) Delete(ctx context.Context, key, version string) error {
	return b.write.do(ctx, "delete", key, func() error { return b.inner.Delete(ctx, key, version) })
}

func (b *Bucket) List(ctx context.Context, opts backends.ListOptions) (page backends.Page, err error) {
	err = b.read.do(ctx, "list", opts.Prefix, func() (err error) {
		page, err = b.inner.List(ctx, opts)
		return err
	})
	return page, err
}
