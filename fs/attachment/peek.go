package attachment

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/budget"
)

// peekSize is how many bytes of an object come with the answer to a look at it.
// A CT image has 512 KiB, and the time of a request begins to grow with its
// bytes where they take longer than the way there and back: at 20 ms and
// 1 Gbit/s, above 2 MiB.
const peekSize = 1 << 20

// peek describes the object under u's key, with one request that brings its first
// bytes, too, unless memory is scarce or nobody has wanted them of late. What is
// there, but cannot be read, is described all the same.
func (s *Store) peek(ctx context.Context, u UUID) (backends.Object, *first, error) {
	key, f := u.Key(), s.room(u)
	if f == nil {
		obj, err := s.bucket.Stat(ctx, key)
		return obj, nil, err
	}
	kept := false
	defer func() {
		if !kept { // also after a panic
			f.buf.Free()
		}
	}()
	f.seen = time.Now()
	n, obj, err := s.bucket.Read(ctx, key, "", f.buf.Framed(), 0)
	switch {
	case err == nil:
		f.n, f.obj, f.took, kept = n, obj, time.Since(f.seen), true
		return obj, f, nil
	case errors.Is(err, fs.ErrNotExist), ctx.Err() != nil:
		return backends.Object{}, nil, err
	}
	obj, err = s.bucket.Stat(ctx, key)
	return obj, nil, err
}

// room returns where to put the first bytes of an object, or nil.
func (s *Store) room(u UUID) *first {
	if !s.shelf.guess(u) {
		return nil
	}
	head, tail := s.codec.Frame()
	buf := s.memory.New(budget.Read, head, tail)
	if !buf.TryAllocate(int64(peekSize - head - tail)) {
		return nil
	}
	return &first{buf: buf}
}

// keep puts on the shelf what info describes, with what came with the answer; if
// that is of no use, it frees it.
func (s *Store) keep(ctx context.Context, l *look, info Info, f *first, err error) {
	if f != nil && err == nil && f.whole() {
		err = f.buf.Fit(ctx, info.Size) // it shrinks
	}
	kept := err == nil && s.shelf.keep(l, info, f)
	if f != nil && !kept {
		f.buf.Free()
	}
}
