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
// keeps the key from being stored as long as that may still arrive. Open uploads
// of the key are then looked for again, also by the next process.
func (s *Set) Delete(ctx context.Context, key, version string) error {
	n := s.beginCallersDelete(key)
	err := s.o.Bucket.Delete(ctx, key, version)
	s.mu.Lock()
	if refused(err) && n.stored {
		s.o.Journal.end(key)
	} else if !refused(err) {
		n.stored = false
	}
	s.mu.Unlock()
	s.endDelete(key, n, err)
	return err
}

// refused reports that a delete that ended with err took nothing, and that what is
// there stays.
func refused(err error) bool {
	return answered(err) && err != nil && !errors.Is(err, backends.ErrChanged)
}

// beginCallersDelete notes the open uploads of a key that is stored: from now on it
// does not matter to anybody, and after a crash they are to be looked for.
func (s *Set) beginCallersDelete(key string) *name {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.at(key)
	n.deleting++
	if n.stored {
		s.o.Journal.told(key)
		for _, u := range n.uploads {
			s.o.Journal.begin(key, u.Mark)
		}
	}
	return n
}
