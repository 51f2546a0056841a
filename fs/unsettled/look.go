package unsettled

import (
	"context"
	"errors"
	"slices"
	"time"

	"orthanc-bucketfs/backends"
)

var (
	errStopped = errors.New("stopped before it was certain")
	errClaimed = errors.New("somebody is writing a file of this name")
)

// open adds an upload to its key, and looks for it.
func (s *Set) open(key string, u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.at(key)
	n.uploads = append(n.uploads, u)
	s.o.Uploads(1)
	s.work.Go(func() {
		defer s.o.Uploads(-1)
		err := s.o.Guard(func() error { return s.pursue(key, n, u) })
		s.finish(key, n, u, err)
	})
}

// pursue looks for u until its time is up. It returns nil if u was not there at
// the last look.
func (s *Set) pursue(key string, n *name, u *upload) error {
	var err error
	for _, pause := range s.o.Pauses {
		if err := s.pause(pause); err != nil {
			return err
		}
		err = s.look(key, n, u)
	}
	for errors.Is(err, errClaimed) {
		if err := s.untilReleased(n); err != nil {
			return err
		}
		err = s.look(key, n, u)
	}
	return err
}

func (s *Set) pause(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-s.ctx.Done():
		return errStopped
	}
}

func (s *Set) untilReleased(n *name) error {
	s.mu.Lock()
	released := n.released
	s.mu.Unlock()
	if released == nil {
		return nil
	}
	select {
	case <-released:
		return nil
	case <-s.ctx.Done():
		return errStopped
	}
}

// look deletes u if it is there. A nil error means that it is not there now, or
// that the key is stored: then there is nothing to look for.
func (s *Set) look(key string, n *name, u *upload) error {
	if s.isStored(n) {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.o.Look)
	defer cancel()
	mark, obj, err := markAt(ctx, s.o.Bucket, key)
	if err != nil || mark != u.Mark {
		return absentIsFine(err)
	}
	done, err := s.beginDelete(n)
	if done || err != nil {
		return err
	}
	err = s.o.Bucket.Delete(ctx, key, obj.Version)
	s.endDelete(key, n, err)
	if err == nil {
		s.deleted(key, u)
	}
	if errors.Is(err, backends.ErrChanged) {
		return nil
	}
	return err
}

func (s *Set) isStored(n *name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n.stored
}

func (s *Set) deleted(key string, u *upload) {
	s.mu.Lock()
	first := !u.gone
	u.gone = true
	s.mu.Unlock()
	if first {
		s.o.Gone(key)
		s.o.Log.Info("deleted the object of a failed upload", "key", key)
	}
}

// finish forgets u, whose pursuit ended with err. What was stopped is left to
// the journal.
func (s *Set) finish(key string, n *name, u *upload, err error) {
	if errors.Is(err, errStopped) && s.o.Journal.has(key) {
		return
	}
	s.mu.Lock()
	n.uploads = slices.DeleteFunc(n.uploads, func(v *upload) bool { return v == u })
	stored := n.stored
	n.stored = stored && len(n.uploads) > 0
	s.tidy(key)
	s.mu.Unlock()
	if err == nil || stored {
		return
	}
	s.o.Left(key, err)
	s.o.Log.Error("the object of a failed upload may be left in the bucket; Orthanc does not know it, delete it by hand",
		"key", key, "error", err)
}
