package archive

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"

	"orthanc-bucketfs/fs/attachment"
)

// Exporter takes the attachments of a bucket out to a plain storage directory of
// Orthanc.
type Exporter struct {
	Store *attachment.Store // without a fallback directory
	Root  *os.Root          // becomes AA/BB/uuid
	Scope Scope

	// Failed is told of every object that is not in the directory as it is in the
	// bucket, Done of every object that was looked at. Both are called concurrently.
	Failed func(Failure)
	Done   func(attachment.Record)
}

// Exported counts what came of a run.
type Exported struct {
	Written   int64 // files made
	Identical int64 // that were there, and compared
	Gone      int64 // deleted from the bucket meanwhile
	Different int64
	Failed    int64 // otherwise
	Foreign   int64 // objects that are no attachments
	Bytes     int64 // of what is in the directory now
}

// Run exports all that is in the scope. The error is that of the listing, or of
// what is wrong with the directory or the Store.
func (x Exporter) Run(ctx context.Context) (total Exported, err error) {
	if x.Store.HasFallback() {
		return Exported{}, ErrFallback
	}
	target, err := openTarget(x.Root)
	if err != nil {
		return Exported{}, err
	}
	defer func() { err = errors.Join(err, target.close()) }()
	var c exportCounts
	err = x.Scope.each(ctx, x.Store.Records(ctx, x.Scope.Prefix), func(r attachment.Record) {
		err := x.one(ctx, r, target, &c)
		switch {
		case err == nil:
		case gone(err):
			c.gone.Add(1)
		case ctx.Err() != nil:
		case errors.Is(err, ErrDifferent):
			c.different.Add(1)
			x.Failed(Failure{r.Object.Key, r.Object.Version, err})
		default:
			c.failed.Add(1)
			x.Failed(Failure{r.Object.Key, r.Object.Version, err})
		}
		x.Done(r)
	}, func(attachment.Record) { c.foreign.Add(1) })
	return c.exported(), err
}

// one writes the attachment that r is of. Of several objects of it, that which a
// mount shows counts.
func (x Exporter) one(ctx context.Context, r attachment.Record, target *target, c *exportCounts) error {
	return withFile(ctx, x.Store, r.UUID, func(a *attachment.File) error {
		count := &c.identical
		err := target.compare(r.UUID.Key(), a)
		if errors.Is(err, errVanished) {
			count, err = &c.written, target.write(r.UUID.Key(), a)
		}
		if errors.Is(err, fs.ErrExist) { // another worker was faster
			count, err = &c.identical, target.compare(r.UUID.Key(), a)
		}
		if err == nil {
			count.Add(1)
			c.bytes.Add(a.Info.Size)
		}
		return err
	})
}

type exportCounts struct {
	written, identical, gone, different, failed, foreign, bytes atomic.Int64
}

func (c *exportCounts) exported() Exported {
	return Exported{
		Written: c.written.Load(), Identical: c.identical.Load(), Gone: c.gone.Load(), Different: c.different.Load(),
		Failed: c.failed.Load(), Foreign: c.foreign.Load(), Bytes: c.bytes.Load(),
	}
}
