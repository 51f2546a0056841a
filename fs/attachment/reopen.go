package attachment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/unsettled"
)

// Reopen makes an attachment that was committed writable again: what was
// committed is fetched back, and verified. It stays as it is until the next Commit
// replaces it, which fails, and leaves it, if somebody else has changed it
// meanwhile or the store replaces nothing safely (errors.ErrUnsupported). After an
// error nothing has changed.
func (w *Writer) Reopen(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != committed {
		return w.writable()
	}
	if err := w.fetchBack(ctx); err != nil {
		w.buf.Free()
		return &Error{Op: "reopen", Key: w.uuid.Key(), Version: w.info.Version, Err: err}
	}
	w.become(writing)
	w.prior, w.info = w.info, Info{}
	return nil
}

func (w *Writer) fetchBack(ctx context.Context) error {
	if w.info.Size == 0 {
		return nil
	}
	if err := w.buf.Fit(ctx, w.info.Size); err != nil {
		return err
	}
	ctx, cancel := w.store.timing.Request.bound(ctx, w.info.Size)
	defer cancel()
	stored := w.buf.Framed()
	obj, err := w.store.fetch(ctx, w.info, stored)
	if err == nil {
		_, err = w.store.codec.Open(w.uuid, obj, stored)
	}
	return err
}

// replace stores body in the place of prior, which was acknowledged: it stays if
// that fails, and nothing is ever deleted. It may overwrite body.
func (s *Store) replace(ctx context.Context, u UUID, try *unsettled.Try, body []byte, prior Info) (backends.Object, error) {
	s.shelf.forget(u)
	defer s.shelf.forget(u)
	defer s.listings.forget(u)
	obj, err := s.sendInPlaceOf(ctx, prior, u, body)
	if err != nil && !final(err) && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, backends.ErrNotSent) {
		obj, err = s.settleReplaced(ctx, u, body, err)
	}
	if err != nil {
		try.Refused()
		return backends.Object{}, fmt.Errorf("continuing a file that was closed before: %w", err)
	}
	try.Stored()
	return obj, nil
}

func (s *Store) sendInPlaceOf(ctx context.Context, prior Info, u UUID, body []byte) (backends.Object, error) {
	ctx, cancel := s.timing.Commit.bound(ctx, int64(len(body)))
	defer cancel()
	n := min(int64(len(body)), maxSending)
	if err := s.sending.Acquire(ctx, n); err != nil {
		return backends.Object{}, fmt.Errorf("other uploads took all the time that there was, %w: %w", backends.ErrNotSent, err)
	}
	defer s.sending.Release(n)
	return s.bucket.Replace(ctx, u.Key(), prior.Version, body)
}

// settleReplaced finds out what became of a replacement that ended with cause.
// Also a version that has changed may be ours: a retry below meets what the first
// attempt had stored.
func (s *Store) settleReplaced(ctx context.Context, u UUID, body []byte, cause error) (backends.Object, error) {
	size, digest := len(body), sha256.Sum256(body)
	ctx, cancel := s.timing.Settle.bound(ctx, int64(size))
	defer cancel()
	n, obj, err := s.bucket.Read(ctx, u.Key(), "", body, 0)
	if err == nil && n == size && obj.Size == int64(size) && sha256.Sum256(body) == digest {
		s.Counters.Settled.Add(1)
		return obj, nil
	}
	if err != nil {
		return backends.Object{}, unsettledError(cause, err)
	}
	return backends.Object{}, cause
}
