package archive

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sync/atomic"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/attachment"
)

// Importer brings the attachments of a plain storage directory of Orthanc into
// the bucket.
type Importer struct {
	Store *attachment.Store // without a fallback directory
	Root  *os.Root          // AA/BB/uuid
	Scope Scope             // Prefix and Jobs count

	// Quiet is how long a file must not have been modified.
	Quiet time.Duration
	// Remove removes each file that this run has found to be identical in the
	// bucket, and directories AA/BB and AA that are empty then.
	Remove bool

	// Failed is told of every file that is not in the bucket as it is here, Done
	// of every file that was looked at. Both are called concurrently.
	Failed func(Failure)
	Done   func(attachment.Record)
}

// Imported counts what came of a run.
type Imported struct {
	Stored    int64 // brought into the bucket, read back and compared
	Identical int64 // that were there, and compared
	Removed   int64 // of both
	Gone      int64 // deleted meanwhile
	Unsettled int64 // left for the next run
	Different int64
	Failed    int64 // otherwise
	Foreign   int64 // files and directories that are no attachments
	Bytes     int64 // of what is in the bucket now
}

// Run imports all that is in the scope. The error is that of reading the
// directories, or of what the Store must not be.
func (m Importer) Run(ctx context.Context) (Imported, error) {
	if m.Store.HasFallback() {
		return Imported{}, ErrFallback
	}
	var c importCounts
	err := m.Scope.each(ctx, files(m.Root, m.Scope.Prefix), func(r attachment.Record) {
		err := m.one(ctx, r, &c)
		switch {
		case err == nil:
		case errors.Is(err, errVanished):
			c.gone.Add(1)
		case ctx.Err() != nil:
		default:
			c.count(err)
			m.Failed(Failure{Key: r.Object.Key, Err: err})
		}
		m.Done(r)
	}, func(attachment.Record) { c.foreign.Add(1) })
	return c.imported(), err
}

// one brings one file into the bucket.
func (m Importer) one(ctx context.Context, r attachment.Record, c *importCounts) error {
	src, err := openSource(m.Root, r.Object.Key, time.Now().Add(-m.Quiet))
	if err != nil {
		return err
	}
	defer src.Close()
	stored, err := m.ensure(ctx, r.UUID, src)
	if err == nil {
		err = m.compare(ctx, r.UUID, src.File)
	}
	if err = errors.Join(err, settled(src, stored)); err != nil {
		return err
	}
	c.bytes.Add(src.info.Size())
	if stored {
		c.stored.Add(1)
	} else {
		c.identical.Add(1)
	}
	if m.Remove {
		return m.remove(src, c)
	}
	return nil
}

// ensure sees to it that the bucket has something under u, and tells whether
// that is what it has stored there.
func (m Importer) ensure(ctx context.Context, u attachment.UUID, src *source) (stored bool, err error) {
	if _, err = m.Store.Stat(ctx, u); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	w := m.Store.Create(u)
	defer w.Discard()
	if err := copyInto(ctx, w, src.File); err != nil {
		return false, err
	}
	if err := src.check(); err != nil {
		return false, err
	}
	_, err = w.Commit(ctx)
	if errors.Is(err, fs.ErrExist) {
		return false, nil // somebody was faster
	}
	return err == nil, err
}

func copyInto(ctx context.Context, w *attachment.Writer, f *os.File) error {
	chunk := make([]byte, chunkSize)
	for off := int64(0); ; {
		n, err := f.ReadAt(chunk, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return withoutPath("reading the file", err)
		}
		if n > 0 {
			if err := w.WriteAt(ctx, chunk[:n], off); err != nil {
				return err
			}
		}
		if off += int64(n); n < chunkSize {
			return nil
		}
	}
}

// compare fetches what the bucket has under u, and reports a difference to f. If
// it changes meanwhile, it is fetched again.
func (m Importer) compare(ctx context.Context, u attachment.UUID, f *os.File) error {
	return withFile(ctx, m.Store, u, func(a *attachment.File) error {
		same, err := equal(f, a)
		if err == nil && !same {
			err = ErrDifferent
		}
		return err
	})
}

// withFile calls use with the attachment u, fetched from the bucket.
func withFile(ctx context.Context, s *attachment.Store, u attachment.UUID, use func(*attachment.File) error) error {
	var a *attachment.File
	err := backends.ErrChanged
	for range changes {
		if !errors.Is(err, backends.ErrChanged) {
			break
		}
		var info attachment.Info
		if info, err = s.Stat(ctx, u); err == nil {
			a, err = s.Open(ctx, info)
		}
	}
	if err != nil {
		return err
	}
	defer a.Close()
	return use(a)
}

// settled looks at the file once more. What was deleted after it had been read
// is now in the bucket, and is left there: if another import has removed the
// file, it is the only copy.
func settled(src *source, stored bool) error {
	err := src.check()
	if stored && errors.Is(err, errVanished) {
		return ErrOrphan
	}
	return err
}

// remove removes a file that is known to be in the bucket.
func (m Importer) remove(src *source, c *importCounts) error {
	if err := m.Root.Remove(src.key); err != nil {
		return withoutPath("removing the file, which is in the bucket", err)
	}
	c.removed.Add(1)
	for dir := path.Dir(src.key); dir != "."; dir = path.Dir(dir) {
		if m.Root.Remove(dir) != nil { // it is not empty
			break
		}
	}
	return nil
}

type importCounts struct {
	stored, identical, removed, gone, unsettled, different, failed, foreign, bytes atomic.Int64
}

func (c *importCounts) count(err error) {
	switch {
	case errors.Is(err, ErrUnsettled):
		c.unsettled.Add(1)
	case errors.Is(err, ErrDifferent):
		c.different.Add(1)
	default:
		c.failed.Add(1)
	}
}

func (c *importCounts) imported() Imported {
	return Imported{
		Stored: c.stored.Load(), Identical: c.identical.Load(), Removed: c.removed.Load(), Gone: c.gone.Load(),
		Unsettled: c.unsettled.Load(), Different: c.different.Load(), Failed: c.failed.Load(),
		Foreign: c.foreign.Load(), Bytes: c.bytes.Load(),
	}
}
