package archive

import (
	"context"
	"errors"
	"sync/atomic"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/attachment"
)

// changes is how often an object is looked at again because it has changed
// meanwhile: a write-once object changes by a rekey alone.
const changes = 3

// Verifier fetches, unseals and authenticates objects.
type Verifier struct {
	Store *attachment.Store
	Scope Scope

	// Failed is told of every object that did not open, Done of every object that
	// was looked at. Both are called concurrently.
	Failed func(Failure)
	Done   func(attachment.Record)
}

// Verified counts what came of a run.
type Verified struct {
	Good, Bad, Unreachable int64 // attachments
	Gone                   int64 // deleted meanwhile
	Foreign                int64 // objects that are no attachments
	Bytes                  int64 // of the good objects, as they are stored
}

// Run verifies everything in the scope. The error is that of the listing.
func (v Verifier) Run(ctx context.Context) (Verified, error) {
	var good, bad, unreachable, goneCount, foreign, bytes atomic.Int64
	err := v.Scope.each(ctx, v.Store.Records(ctx, v.Scope.Prefix), func(r attachment.Record) {
		err := v.one(ctx, r)
		f := Failure{r.Object.Key, r.Object.Version, err}
		switch {
		case err == nil:
			good.Add(1)
			bytes.Add(r.Object.Size)
		case gone(err):
			goneCount.Add(1)
		case ctx.Err() != nil:
		case f.Bad():
			bad.Add(1)
			v.Failed(f)
		default:
			unreachable.Add(1)
			v.Failed(f)
		}
		v.Done(r)
	}, func(attachment.Record) { foreign.Add(1) })
	return Verified{good.Load(), bad.Load(), unreachable.Load(), goneCount.Load(), foreign.Load(), bytes.Load()}, err
}

func (v Verifier) one(ctx context.Context, r attachment.Record) error {
	return withVersion(ctx, v.Store, r, v.Store.Verify)
}

// withVersion calls use with r, and again with what is in its place if that has
// changed meanwhile.
func withVersion(ctx context.Context, s *attachment.Store, r attachment.Record, use func(context.Context, attachment.Record) error) error {
	err := use(ctx, r)
	for range changes {
		if !errors.Is(err, backends.ErrChanged) {
			break
		}
		if r, err = s.Again(ctx, r); err != nil {
			break
		}
		err = use(ctx, r)
	}
	return err
}
