package backends

import "context"

type progressKey struct{}

// WithProgress returns a context whose calls tell f, concurrently, when bytes
// have moved, in either direction. The clouds tell it now and then: several times
// in a request_timeout, if any have moved since. Backend dir tells it after every
// piece that it has written. Others, as a bucket in memory, do not.
func WithProgress(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, progressKey{}, f)
}

// Progressed is for buckets, who tell with it that bytes of a call have moved.
func Progressed(ctx context.Context) {
	if f, ok := ctx.Value(progressKey{}).(func()); ok {
		f()
	}
}
