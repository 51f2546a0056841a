package s3

import (
	"context"

	"github.com/aws/smithy-go/middleware"
)

type attemptsKey struct{}

// withAttempts returns a context for one call of the SDK, and where the number
// of its requests is counted.
func withAttempts(ctx context.Context) (context.Context, *int) {
	n := new(int)
	return context.WithValue(ctx, attemptsKey{}, n), n
}

// countAttempts counts the requests of calls whose context came from
// withAttempts.
func countAttempts(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("CountAttempts", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if n, ok := ctx.Value(attemptsKey{}).(*int); ok {
			*n++
		}
		return next.HandleFinalize(ctx, in)
	}), "Retry", middleware.After)
}

// retriedError is the error of a call that has sent more than one request.
type retriedError struct{ error }

func (e *retriedError) Unwrap() error { return e.error }

func markRetried(err error, attempts int) error {
	if err == nil || attempts < 2 {
		return err
	}
	return &retriedError{err}
}
