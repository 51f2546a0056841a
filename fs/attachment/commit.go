package attachment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/memory"
)

// commit seals what is in buf, where it lies, and stores it under u.
func (s *Store) commit(ctx context.Context, u UUID, buf *memory.Buffer) (i Info, err error) {
	s.commits.Add(1)
	defer s.commits.Done()
	s.Counters.Committing.Add(1)
	defer s.Counters.Committing.Add(-1)
	op, size := s.begin(Stored, u.Key()), int64(buf.Size())
	defer func() { op.end(size, err) }()
	obj, err := s.upload(ctx, u, buf)
	if err != nil {
		return Info{}, &Error{Op: "commit", Key: u.Key(), Version: obj.Version, Err: err}
	}
	s.listings.created(u, obj)
	info := Info{UUID: u, Size: size, Modified: obj.Modified, Version: obj.Version, Seen: time.Now()}
	s.shelf.add(info)
	return info, nil
}

func (s *Store) upload(ctx context.Context, u UUID, buf *memory.Buffer) (backends.Object, error) {
	// A file that was never written has no memory for its frame yet.
	if err := buf.Resize(ctx, int64(buf.Size())); err != nil {
		return backends.Object{}, err
	}
	if err := s.orphans.resolve(ctx, u); err != nil {
		return backends.Object{}, err
	}
	if err := buf.Trim(); err != nil {
		return backends.Object{}, err
	}
	frame := buf.Framed()
	if err := s.codec.Seal(u, frame); err != nil {
		return backends.Object{}, err
	}
	return s.create(ctx, u, frame)
}

// create stores body under u's key, and settles it if the answer does not say
// what became of it. It may overwrite body.
func (s *Store) create(ctx context.Context, u UUID, body []byte) (backends.Object, error) {
	bounded, cancel := s.timing.Commit.bound(ctx, int64(len(body)))
	defer cancel()
	obj, err := s.bucket.Create(bounded, u.Key(), body)
	if err == nil || final(err) {
		return obj, err
	}
	return s.settle(ctx, u, body, err)
}

// settle finds out what became of an upload that ended with cause. An object
// that already exists may be ours, too: a retry below meets what the first
// attempt had stored.
func (s *Store) settle(ctx context.Context, u UUID, body []byte, cause error) (backends.Object, error) {
	ours := sha256.Sum256(body)
	ctx, cancel := s.timing.Settle.bound(ctx, int64(len(body)))
	defer cancel()
	// body will not be sent again, so it serves as the memory to read into.
	n, obj, err := s.bucket.Read(ctx, u.Key(), "", body, 0)
	switch {
	case err == nil && n == len(body) && obj.Size == int64(n) && sha256.Sum256(body) == ours:
		s.Counters.Settled.Add(1)
		s.log.Info("upload settled: the answer was lost, the object is whole", "key", u.Key(), "etag", obj.Version)
		return obj, nil
	case err == nil:
		return obj, fmt.Errorf("%w (upload ended with: %v)", fs.ErrExist, cause)
	case errors.Is(err, fs.ErrNotExist) && errors.Is(cause, fs.ErrExist):
		return backends.Object{}, cause // somebody else's, gone by now
	}
	// The object may be there, or may still arrive.
	s.orphans.watch(u, &suspect{size: int64(len(body)), digest: ours})
	return backends.Object{}, unsettled(cause, err)
}

// unsettled returns the error of an upload that ended with cause and could not
// be settled because of err. It wraps neither that something exists, for that
// may be the caller's own object, nor that it does not, for it may still come.
func unsettled(cause, err error) error {
	if errors.Is(cause, fs.ErrExist) {
		return fmt.Errorf("%w (upload ended with: %v)", err, cause)
	}
	return fmt.Errorf("%w (settling: %v)", cause, err)
}
