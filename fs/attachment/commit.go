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
	"orthanc-bucketfs/fs/unsettled"
)

// maxSending is how many bytes are being sent at a time, and how many one file
// counts for at most. Uploads beyond it wait, first come first served, so that on a
// slow line those sent first are done first. A line of 10 Gbit/s, 50 ms away, takes
// as much before the first answer comes.
const maxSending = 64 << 20

// commit seals what is in buf, where it lies, and stores it under u, in the place
// of prior if that is not zero.
func (s *Store) commit(ctx context.Context, u UUID, buf *memory.Buffer, prior Info) (i Info, err error) {
	s.commits.Add(1)
	defer s.commits.Done()
	s.Counters.Committing.Add(1)
	defer s.Counters.Committing.Add(-1)
	op, size := s.begin(Stored, u.Key()), int64(buf.Size())
	defer func() { op.end(size, err) }()
	obj, err := s.upload(ctx, u, buf, prior)
	if err != nil {
		return Info{}, &Error{Op: "commit", Key: u.Key(), Version: obj.Version, Err: err}
	}
	s.listings.created(u, obj)
	info := Info{UUID: u, Size: size, Modified: obj.Modified, Version: obj.Version, Seen: time.Now()}
	s.shelf.add(info)
	return info, nil
}

func (s *Store) upload(ctx context.Context, u UUID, buf *memory.Buffer, prior Info) (backends.Object, error) {
	// A file that was never written has no memory for its frame yet.
	if err := buf.Resize(ctx, int64(buf.Size())); err != nil {
		return backends.Object{}, err
	}
	try, err := s.unsettled.Begin(u.Key())
	if err != nil {
		return backends.Object{}, err
	}
	if prior.Version == "" {
		if obj, ok, err := s.adopt(ctx, u, try, buf); ok || err != nil {
			return obj, err
		}
	}
	if err := buf.Trim(); err != nil {
		return backends.Object{}, err
	}
	frame := buf.Framed()
	if err := s.codec.Seal(u, frame); err != nil {
		return backends.Object{}, err
	}
	if prior.Version != "" {
		return s.replace(ctx, u, try, frame, prior)
	}
	return s.create(ctx, u, try, frame)
}

// adopt takes an earlier upload of the same content, whose outcome was open, for
// this one, if there is one.
func (s *Store) adopt(ctx context.Context, u UUID, try *unsettled.Try, buf *memory.Buffer) (obj backends.Object, ok bool, err error) {
	if !try.Repeats {
		return backends.Object{}, false, nil
	}
	obj, ok, err = try.Adopt(ctx, sha256.Sum256(buf.Content()))
	if err != nil {
		return obj, false, fmt.Errorf("an earlier upload is not settled: %w", err)
	}
	if ok {
		s.settled(u, obj, try)
	}
	return obj, ok, nil
}

// create stores body under u's key, and settles it if the answer does not say
// what became of it. It may overwrite body.
func (s *Store) create(ctx context.Context, u UUID, try *unsettled.Try, body []byte) (backends.Object, error) {
	obj, err := s.send(ctx, u, try, body)
	switch {
	case err == nil:
		try.Stored()
		return obj, nil
	case final(err), errors.Is(err, backends.ErrNotSent):
		try.Refused()
		return obj, err
	}
	return s.settle(ctx, u, try, body, err)
}

// send stores body when its turn has come.
func (s *Store) send(ctx context.Context, u UUID, try *unsettled.Try, body []byte) (backends.Object, error) {
	ctx, cancel := s.timing.Commit.bound(ctx, int64(len(body)))
	defer cancel()
	n := min(int64(len(body)), maxSending)
	if err := s.sending.Acquire(ctx, n); err != nil {
		return backends.Object{}, fmt.Errorf("other uploads took all the time that there was, %w: %w", backends.ErrNotSent, err)
	}
	defer s.sending.Release(n)
	try.Send(unsettled.MarkOf(body))
	ctx, repeats := backends.CountRepeats(ctx)
	obj, err := s.bucket.Create(ctx, u.Key(), body)
	try.Repeated = repeats.Load() > 0
	return obj, err
}

// settle finds out what became of an upload that ended with cause. An object
// that already exists may be ours, too: a retry below meets what the first
// attempt had stored. Unless it is, more may still arrive of what was sent.
func (s *Store) settle(ctx context.Context, u UUID, try *unsettled.Try, body []byte, cause error) (backends.Object, error) {
	sent := s.describe(u, body)
	ctx, cancel := s.timing.Settle.bound(ctx, sent.Size)
	defer cancel()
	// body will not be sent again, so it serves as the memory to read into.
	n, obj, err := s.bucket.Read(ctx, u.Key(), "", body, 0)
	whole := err == nil && n == len(body) && obj.Size == sent.Size
	if whole && sha256.Sum256(body) == sent.Digest {
		s.settled(u, obj, try)
		return obj, nil
	}
	s.shelf.forget(u)
	try.Open(sent)
	switch {
	case whole && try.IsOpen(sha256.Sum256(body), sent.Content):
		s.settled(u, obj, try)
		return obj, nil
	case err == nil:
		return obj, fmt.Errorf("%w (upload ended with: %v)", fs.ErrExist, cause)
	case errors.Is(err, fs.ErrNotExist) && errors.Is(cause, fs.ErrExist):
		return backends.Object{}, cause // somebody else's, gone by now
	}
	return backends.Object{}, unsettledError(cause, err)
}

func (s *Store) settled(u UUID, obj backends.Object, try *unsettled.Try) {
	try.Stored()
	s.Counters.Settled.Add(1)
	s.log.Info("upload settled: the answer was lost, the object is whole", "key", u.Key(), "etag", obj.Version)
}

// describe returns what is to be known of an upload to recognise it. It
// overwrites body with the file that is sealed in it.
func (s *Store) describe(u UUID, body []byte) unsettled.Upload {
	sent := unsettled.Upload{Mark: unsettled.MarkOf(body), Size: int64(len(body)), Digest: sha256.Sum256(body)}
	if content, err := s.codec.Open(u, backends.Object{}, body); err == nil {
		sent.Content = sha256.Sum256(content)
	}
	return sent
}

// unsettledError is the error of an upload that ended with cause and could not
// be settled because of err. It wraps neither that something exists, for that
// may be the caller's own object, nor that it does not, for it may still come.
func unsettledError(cause, err error) error {
	if errors.Is(cause, fs.ErrExist) {
		return fmt.Errorf("%w (upload ended with: %v)", err, cause)
	}
	return fmt.Errorf("%w (settling: %v)", cause, err)
}

func (s *Store) unsettledOptions(o Options) unsettled.Options {
	return unsettled.Options{
		Bucket: o.Bucket, Log: o.Log, Guard: guarded, Journal: o.Journal,
		Pauses: o.Timing.Looks, Late: o.Timing.Late, Look: o.Timing.Settle.Base, Repeat: o.Timing.Repeat,
		Gone: func(key string) {
			s.Counters.OrphansGone.Add(1)
			if u, ok := ParseKey(key); ok {
				s.shelf.forget(u)
				s.listings.deleted(u)
			}
		},
		There:   s.there,
		Left:    func(string, error) { s.Counters.OrphansLeft.Add(1) },
		Uploads: func(more int64) { s.Counters.Unsettled.Add(more) },
	}
}
