package backends

import (
	"context"
	"time"
)

// Request is one exchange with a store that is over: an HTTP request that went
// out, repetitions and requests for credentials included, or, where a store
// does not speak HTTP, one call of a Bucket.
type Request struct {
	Method   string        // "GET"; or the operation of a call, as in Error.Op
	Status   int           // of the answer; 0 if none came, and for calls
	Err      error         // why there was no whole answer, or the error of a call; holds no secrets
	Duration time.Duration // to the last byte that was read of the answer
	Sent     int64         // bytes of the body
	Received int64         // bytes of the body of the answer
	Retry    bool          // it repeats one before that came to nothing
}

// Observer is told of every request. It is called concurrently, and must
// return soon.
type Observer func(Request)

// Observed returns b with every call told to observe. It is for buckets that
// make no HTTP requests; the others take an Observer where they are opened.
func Observed(b Bucket, observe Observer) Bucket { return &observed{b, observe} }

type observed struct {
	inner   Bucket
	observe Observer
}

// Unwrap returns the bucket that is observed.
func (b *observed) Unwrap() Bucket { return b.inner }

func (b *observed) String() string { return b.inner.String() }

func (b *observed) Stat(ctx context.Context, key string) (Object, error) {
	begin := time.Now()
	obj, err := b.inner.Stat(ctx, key)
	b.observe(Request{Method: "stat", Err: err, Duration: time.Since(begin)})
	return obj, err
}

func (b *observed) Read(ctx context.Context, key, version string, p []byte, off int64) (int, Object, error) {
	begin := time.Now()
	n, obj, err := b.inner.Read(ctx, key, version, p, off)
	b.observe(Request{Method: "read", Err: err, Duration: time.Since(begin), Received: int64(n)})
	return n, obj, err
}

func (b *observed) Create(ctx context.Context, key string, body []byte) (Object, error) {
	begin := time.Now()
	obj, err := b.inner.Create(ctx, key, body)
	b.observe(Request{Method: "create", Err: err, Duration: time.Since(begin), Sent: int64(len(body))})
	return obj, err
}

func (b *observed) Replace(ctx context.Context, key, version string, body []byte) (Object, error) {
	begin := time.Now()
	obj, err := b.inner.Replace(ctx, key, version, body)
	b.observe(Request{Method: "replace", Err: err, Duration: time.Since(begin), Sent: int64(len(body))})
	return obj, err
}

func (b *observed) Delete(ctx context.Context, key, version string) error {
	begin := time.Now()
	err := b.inner.Delete(ctx, key, version)
	b.observe(Request{Method: "delete", Err: err, Duration: time.Since(begin)})
	return err
}

func (b *observed) List(ctx context.Context, opts ListOptions) (Page, error) {
	begin := time.Now()
	page, err := b.inner.List(ctx, opts)
	b.observe(Request{Method: "list", Err: err, Duration: time.Since(begin)})
	return page, err
}
