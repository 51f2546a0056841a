package unsettled

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"orthanc-bucketfs/backends"
)

// Deletion is a delete of a key that somebody has asked for. Its caller tries it,
// and then ends it. Until then, no try to store the key begins.
type Deletion struct {
	set  *Set
	key  string
	n    *name
	mark Mark // of the version that is to go; zero if that is not known
}

// Delete begins a Deletion of that version of key which is there. If it is empty,
// nobody knows which one that is. The open uploads of a key that is stored do
// not matter to anybody from now on, and after a crash they are to be looked for.
func (s *Set) Delete(key, version string) *Deletion {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, mark := s.at(key), markOfVersion(version)
	n.deleting++
	s.o.Journal.told(key)
	if n.stored {
		for _, u := range n.uploads {
			s.o.Journal.begin(key, u.Mark)
		}
	}
	s.o.Journal.beginDelete(key, mark)
	return &Deletion{set: s, key: key, n: n, mark: mark}
}

// Turn notes that it is another version that is to go.
func (d *Deletion) Turn(version string) {
	d.mark = markOfVersion(version)
	d.set.o.Journal.beginDelete(d.key, d.mark)
}

// Try sends one request that deletes a version, or whatever is there if it is
// empty.
func (d *Deletion) Try(ctx context.Context, version string) error {
	err := d.set.o.Bucket.Delete(ctx, d.key, version)
	d.set.mu.Lock()
	defer d.set.mu.Unlock()
	if !refused(err) {
		d.n.stored = false
	}
	if !answered(err) {
		d.set.burn(d.key, d.n)
	}
	return err
}

// End ends d with the error of the last try, if that failed, or of what kept it
// from being made. Unless the store has refused the delete, it is made up for.
func (d *Deletion) End(err error) {
	s := d.set
	s.mu.Lock()
	defer s.mu.Unlock()
	d.n.deleting--
	switch {
	case err != nil && !forbidden(err):
		d.n.stored = false
		s.owe(d.key, d.n, d.mark)
	case d.n.stored: // as before
		s.o.Journal.end(d.key)
	}
	s.tidy(d.key)
}

// debt is a delete that was asked for, and of which nobody knows that it was
// carried out.
type debt struct {
	mark Mark // as in Deletion
}

var errUncertain = errors.New("it is not certain that this is what was to be deleted")

// Doubt notes that a delete of key may have been meant: nothing is deleted, but if
// the key is there in the end, that is reported.
func (s *Set) Doubt(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.Journal.beginDelete(key, Mark{})
	s.owe(key, s.at(key), Mark{})
}

// owe makes up for a delete. The caller holds s.mu.
func (s *Set) owe(key string, n *name, mark Mark) {
	d := &debt{mark}
	n.owed = append(n.owed, d)
	s.o.Uploads(1)
	s.work.Go(func() {
		defer s.o.Uploads(-1)
		err := s.o.Guard(func() error { return s.makeUp(key, n, d) })
		s.settle(key, n, d, err)
	})
}

// makeUp deletes what d is of. It returns nil when that is not there any more.
func (s *Set) makeUp(key string, n *name, d *debt) error {
	var err error
	for _, pause := range s.o.Pauses {
		if err := s.pause(pause); err != nil {
			return err
		}
		if err = s.pay(key, n, d); err == nil {
			return nil
		}
	}
	return err
}

func (s *Set) pay(key string, n *name, d *debt) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.o.Look)
	defer cancel()
	if d.mark == (Mark{}) {
		there, err := s.o.There(ctx, key)
		if err == nil && there {
			err = errUncertain
		}
		return err
	}
	obj, err := s.o.Bucket.Stat(ctx, key)
	if err != nil || markOfVersion(obj.Version) != d.mark {
		return absentIsFine(err)
	}
	if done, err := s.beginOwed(n, d); done || err != nil {
		return err
	}
	err = s.o.Bucket.Delete(ctx, key, obj.Version)
	s.endDelete(key, n, err)
	switch {
	case err == nil:
		s.o.Gone(key)
		s.o.Log.Info("deleted a file whose deletion had failed before", "key", key)
	case errors.Is(err, backends.ErrChanged):
		err = nil
	}
	return err
}

// beginOwed reports done if the key has been stored meanwhile.
func (s *Set) beginOwed(n *name, d *debt) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !slices.Contains(n.owed, d):
		return true, nil
	case n.claims > 0:
		return false, errClaimed
	}
	n.deleting++
	return false, nil
}

// settle forgets d, which ended with err. What was stopped is left to the journal.
func (s *Set) settle(key string, n *name, d *debt, err error) {
	if errors.Is(err, errStopped) && s.o.Journal.has(key) {
		return
	}
	s.mu.Lock()
	paid := !slices.Contains(n.owed, d)
	n.owed = slices.DeleteFunc(n.owed, func(o *debt) bool { return o == d })
	s.tidy(key)
	s.mu.Unlock()
	if err == nil || paid {
		return
	}
	s.o.Left(key, err)
	s.o.Log.Error("a file that was to be deleted may be left in the bucket; delete it by hand if Orthanc does not know it",
		"key", key, "error", err)
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

// refused reports that a delete that ended with err took nothing, and that what is
// there stays.
func refused(err error) bool {
	return answered(err) && err != nil && !errors.Is(err, backends.ErrChanged)
}

// forbidden reports that it is of no use to try a delete again that ended with err.
func forbidden(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, backends.ErrInvalidKey)
}
