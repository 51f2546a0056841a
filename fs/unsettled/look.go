package unsettled

import (
	"context"
	"errors"
	"io/fs"
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
	s.work.Go(func() {
		err := s.o.Guard(func() error { return s.pursue(key, n, u) })
		s.finish(key, n, u, err)
	})
}

// pursue looks for u until its time is up. It returns nil if u was not there at
// the last look.
func (s *Set) pursue(key string, n *name, u *upload) error {
	var err error
	for _, pause := range s.o.Pauses {
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return errStopped
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
// that it is what the key is stored with.
func (s *Set) look(key string, n *name, u *upload) error {
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

// beginDelete reports done if the key is stored: then nothing is to be deleted.
func (s *Set) beginDelete(n *name) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case n.stored:
		return true, nil
	case n.claims > 0:
		return false, errClaimed
	}
	n.deleting++
	return false, nil
}

// endDelete burns the name unless the delete that ended with err was answered.
func (s *Set) endDelete(key string, n *name, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n.deleting--
	if !answered(err) {
		s.burn(key, n)
	}
	s.tidy(key)
}

// answered reports that the store has answered a delete that ended with err, so
// that none of it can arrive any more.
func answered(err error) bool {
	return err == nil || errors.Is(err, backends.ErrChanged) || errors.Is(err, fs.ErrPermission) || errors.Is(err, backends.ErrInvalidKey) || errors.Is(err, backends.ErrNotSent)
}

// burn keeps key from being stored for Options.Late, also in the next process.
// The caller holds s.mu.
func (s *Set) burn(key string, n *name) {
	n.burnt = time.Now().Add(s.o.Late)
	if !s.o.Journal.has(key) {
		s.o.Journal.begin(key, Mark{})
	}
	time.AfterFunc(s.o.Late, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tidy(key)
	})
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

// Delete deletes a version of key, or whatever is there if version is empty, and
// keeps the key from being stored as long as that may still arrive.
func (s *Set) Delete(ctx context.Context, key, version string) error {
	s.mu.Lock()
	n := s.at(key)
	n.deleting++
	s.mu.Unlock()
	err := s.o.Bucket.Delete(ctx, key, version)
	s.mu.Lock()
	if err == nil || !answered(err) {
		n.stored = false
	}
	s.mu.Unlock()
	s.endDelete(key, n, err)
	return err
}
