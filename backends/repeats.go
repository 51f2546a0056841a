package backends

import (
	"context"
	"sync/atomic"
)

type repeatsKey struct{}

// CountRepeats returns a context for one call of a Bucket, and where it is counted
// how many of its requests repeat one before. What was repeated may still arrive
// when the call is over, also if that succeeded.
func CountRepeats(ctx context.Context) (context.Context, *atomic.Int64) {
	n := new(atomic.Int64)
	return context.WithValue(ctx, repeatsKey{}, n), n
}

// Repeat counts a request that repeats one before. It is for backends.
func Repeat(ctx context.Context) {
	if n, ok := ctx.Value(repeatsKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
}
