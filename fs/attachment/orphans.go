package attachment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

const orphanChunk = 64 << 10 // bytes read at a time from a suspected orphan

var errStopped = errors.New("stopped before it was certain")

// orphans looks for objects that failed commits may have left behind, and
// deletes them. It recognises them by their digest, so that it never deletes
// what somebody else has stored under the same key.
type orphans struct {
	store  *Store
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex // guards suspects
	suspects map[UUID]*suspect
}

// suspect is the object of a commit that failed with an unknown outcome.
type suspect struct {
	size   int64
	digest [sha256.Size]byte

	mu      sync.Mutex // held while it is looked for; guards decided
	decided bool
}

func newOrphans(s *Store) *orphans {
	ctx, cancel := context.WithCancel(context.Background())
	return &orphans{store: s, ctx: ctx, cancel: cancel, suspects: map[UUID]*suspect{}}
}

func (o *orphans) close() {
	o.cancel()
	o.done.Wait()
}

// watch looks for s after each of the store's pauses.
func (o *orphans) watch(u UUID, s *suspect) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.suspects[u] = s
	o.done.Go(func() {
		if err := guarded(func() error { return o.pursue(u, s) }); err != nil {
			o.giveUp(u, s, err)
		}
	})
}

// resolve decides the fate of an earlier commit of u, if it is open, so that a
// new object of u cannot be mistaken for the old one.
func (o *orphans) resolve(ctx context.Context, u UUID) error {
	o.mu.Lock()
	s := o.suspects[u]
	o.mu.Unlock()
	if s == nil {
		return nil
	}
	ctx, cancel := o.store.timing.Settle.bound(ctx, s.size)
	defer cancel()
	if _, err := o.look(ctx, u, s); err != nil {
		return fmt.Errorf("an earlier upload is not settled: %w", err)
	}
	o.decide(u, s)
	return nil
}

// pursue returns nil when the suspect is deleted, or was not there at the last
// look.
func (o *orphans) pursue(u UUID, s *suspect) error {
	var err error
	for _, pause := range o.store.timing.Orphans {
		select {
		case <-time.After(pause):
		case <-o.ctx.Done():
			return errStopped
		}
		var done bool
		if done, err = o.tryLook(u, s); done {
			break
		}
	}
	if err == nil {
		o.decide(u, s)
	}
	return err
}

func (o *orphans) tryLook(u UUID, s *suspect) (bool, error) {
	ctx, cancel := o.store.timing.Settle.bound(o.ctx, s.size)
	defer cancel()
	return o.look(ctx, u, s)
}

// look deletes the suspect if it is there. It reports whether there is nothing
// more to look for; a nil error means that it is not there now.
func (o *orphans) look(ctx context.Context, u UUID, s *suspect) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.decided {
		return true, nil
	}
	same, err := o.matches(ctx, u.Key(), s)
	if err != nil || !same {
		return false, err
	}
	defer o.store.shelf.forget(u)
	if err := o.store.bucket.Delete(ctx, u.Key(), ""); err != nil {
		return false, err
	}
	s.decided = true
	o.store.Counters.OrphansGone.Add(1)
	o.store.log.Info("deleted the object of a failed upload", "key", u.Key())
	return true, nil
}

// matches reports whether the object under key is the suspect.
func (o *orphans) matches(ctx context.Context, key string, s *suspect) (bool, error) {
	obj, err := o.store.bucket.Stat(ctx, key)
	if errors.Is(err, fs.ErrNotExist) || err == nil && obj.Size != s.size {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	same, err := o.store.holds(ctx, key, obj.Version, s.size, s.digest, orphanChunk)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return same, err
}

func (o *orphans) decide(u UUID, s *suspect) {
	s.mu.Lock()
	s.decided = true
	s.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.suspects[u] == s {
		delete(o.suspects, u)
	}
}

func (o *orphans) giveUp(u UUID, s *suspect, err error) {
	s.mu.Lock()
	decided := s.decided
	s.mu.Unlock()
	if decided {
		return
	}
	o.decide(u, s)
	o.store.Counters.OrphansLeft.Add(1)
	o.store.log.Error("the object of a failed upload may be left in the bucket; Orthanc does not know it, delete it by hand",
		"key", u.Key(), "error", err)
}
