package attachment

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// flight is one fetch of one version, for all who open it meanwhile. It goes on
// for as long as anybody waits for it.
type flight struct {
	want   Info
	first  *first             // what had been fetched before; or nil
	ctx    context.Context    // ends when nobody waits any more
	cancel context.CancelFunc // of ctx

	readers int           // who wait; guarded by the shelf, as the rest is until done is closed
	done    chan struct{} // closed when the flight has landed
	body    *body
	err     error

	told atomic.Bool // somebody has been given err
}

// landed reports that body or err is there.
func (fl *flight) landed() bool {
	select {
	case <-fl.done:
		return true
	default:
		return false
	}
}

// board returns what is in memory of the version that want describes, which the
// caller releases; or a flight that brings it, for which the caller waits. A new
// one is for the caller to launch.
func (s *shelf) board(want Info) (b *body, fl *flight, isNew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.share(want); b != nil {
		return b, nil, false
	}
	for _, fl := range s.flights[want.UUID] {
		if fl.want.isOf(want) {
			fl.readers++
			return nil, fl, false
		}
	}
	return nil, s.newFlight(want), true
}

func (s *shelf) newFlight(want Info) *flight {
	fl := &flight{want: want, first: s.takeFirst(want), readers: 1, done: make(chan struct{})}
	fl.ctx, fl.cancel = context.WithCancel(context.Background())
	s.deleting = false
	if s.moment > 0 {
		s.flights[want.UUID] = append(s.flights[want.UUID], fl)
	}
	return fl
}

// depart takes fl from those that may be joined, and reports whether it was one:
// what has been taken off the shelf meanwhile is not put there.
func (s *shelf) depart(fl *flight) bool {
	u := fl.want.UUID
	before := s.flights[u]
	i := slices.Index(before, fl)
	switch {
	case i < 0:
		return false
	case len(before) == 1:
		delete(s.flights, u)
	default:
		s.flights[u] = slices.Delete(before, i, i+1)
	}
	return true
}

// land hands what fl has brought to those who wait for it, and for other flights
// of the same version, which may wait for memory.
func (s *shelf) land(fl *flight, b *body, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer fl.cancel()
	if fl.landed() { // another one was faster
		if b != nil {
			b.buf.Free()
		}
		return
	}
	current := s.depart(fl)
	if b != nil {
		b.refs = 1 // until all have theirs
		if current {
			s.put(&item{info: b.info, body: b}, s.moment, s.moment)
			s.deliverAll(b)
		}
		defer s.leave(b, false)
	}
	fl.deliver(b, err)
}

func (fl *flight) deliver(b *body, err error) {
	if b != nil {
		b.refs += fl.readers
	}
	fl.body, fl.err = b, err
	close(fl.done)
}

// deliverAll ends the flights that would bring b.
func (s *shelf) deliverAll(b *body) {
	for _, fl := range slices.Clone(s.flights[b.info.UUID]) {
		if b.info.isOf(fl.want) {
			s.depart(fl)
			fl.deliver(b, nil)
			fl.cancel()
		}
	}
}

// disembark ends the wait of one who has given up.
func (s *shelf) disembark(fl *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !fl.landed():
		fl.readers--
		if fl.readers == 0 {
			s.depart(fl)
			fl.cancel()
		}
	case fl.body != nil:
		s.leave(fl.body, false)
	}
}

// launch fetches what fl is to bring. What has come with a look, and takes no
// request more, is opened by the caller itself: it is in the cache of its
// processor, which makes a CT image faster by a fifth.
func (s *Store) launch(fl *flight) {
	if fl.first != nil && fl.first.whole() {
		s.fly(fl)
		return
	}
	s.fetches.Go(func() { s.fly(fl) })
}

func (s *Store) fly(fl *flight) {
	var b *body
	err := guarded(func() (err error) {
		b, err = s.fetchBody(fl.ctx, fl.want, fl.first)
		return err
	})
	s.shelf.land(fl, b, err)
}

// await returns what fl brings, which the caller releases.
func (s *Store) await(ctx context.Context, fl *flight) (*body, error) {
	select {
	case <-fl.done:
		return fl.body, fl.failure()
	case <-ctx.Done():
		s.shelf.disembark(fl)
		return nil, &Error{Op: "open", Key: fl.want.key(), Version: fl.want.Version, Err: context.Cause(ctx)}
	}
}

// failure returns the error of fl, which is marked as shared for all but the first
// who is given it: what failed is one request.
func (fl *flight) failure() error {
	e, ok := fl.err.(*Error)
	if !ok || !fl.told.Swap(true) {
		return fl.err
	}
	shared := *e
	shared.Shared = true
	return &shared
}

// confirm asks the bucket whether it still holds b, which is in memory.
func (s *Store) confirm(ctx context.Context, want Info, b *body) error {
	seen := time.Now()
	ctx, cancel := s.timing.Request.bound(ctx, 0)
	defer cancel()
	obj, err := s.bucketAt(want.at).Stat(ctx, want.key())
	if err == nil && obj.Version != b.info.Version {
		err = errOtherVersion
	}
	if err != nil {
		return s.openFailed(want, err)
	}
	s.shelf.confirmed(b, seen)
	return nil
}
