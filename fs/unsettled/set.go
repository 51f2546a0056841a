package unsettled

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"orthanc-bucketfs/backends"
)

// RepeatWindow is how soon after a failed try another one counts as its
// repetition. Orthanc repeats after 4 to 13 ms.
const RepeatWindow = time.Second

var (
	// ErrBurnt reports a key that cannot be stored now, because a delete of it may
	// still arrive.
	ErrBurnt = errors.New("a delete of this name may still arrive at the store, and would take what is stored now")
	// ErrOpen reports a key that cannot be stored now, because an earlier upload
	// may still arrive, and the store would let it replace what is there.
	ErrOpen = errors.New("an earlier upload of this name may still arrive, and this store would let it replace what is stored now")
	// ErrLate reports a try that began too long after the first one.
	ErrLate = fmt.Errorf("the time for this file ended with the tries before: %w", context.DeadlineExceeded)
)

// Options are what a Set is made of.
type Options struct {
	Bucket backends.Bucket
	Log    *slog.Logger
	Pauses []time.Duration // before each look for an open upload; their sum is its time
	Late   time.Duration   // how long a request may arrive after its call has ended
	Look   time.Duration   // deadline of one look
	Repeat time.Duration   // how long after the first try of a key began another one may begin
	// Guard runs f; it turns a panic into an error.
	Guard   func(f func() error) error
	Journal *Journal // or nil
	// There reports that what callers call key is there, wherever that is.
	There func(ctx context.Context, key string) (bool, error)

	// Gone is told of an open upload, or what was to be deleted before, that was found
	// and deleted; Left of one that could not be ruled out in the end, and why.
	Gone func(key string)
	Left func(key string, why error)
	// Uploads is told by how many those that are looked for, and the deletes that are
	// made up for, have become more.
	Uploads func(more int64)
}

// Set is the open business of the keys of one bucket. It is safe for concurrent
// use.
type Set struct {
	o      Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu    sync.Mutex // guards names, and the fields of each
	names map[string]*name
}

// name is what is open about one key. It exists as long as there is any of it.
type name struct {
	claims   int
	released chan struct{} // closed when the last claim ends; nil while there is none
	uploads  []*upload
	stored   bool      // acknowledged while uploads were open
	deleting int       // deletes under way
	owed     []*debt   // deletes that are made up for
	burnt    time.Time // until then a delete may arrive; zero if none may
	first    time.Time // when the first of the tries that follow each other began
	ended    time.Time // when the last one failed
}

func (n *name) idle() bool {
	return n.claims == 0 && len(n.uploads) == 0 && n.deleting == 0 && len(n.owed) == 0 && n.burnt.IsZero()
}

// New returns a Set that goes on with what its Journal has from a process that
// was killed.
func New(o Options) *Set {
	s := &Set{o: o, names: map[string]*name{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, e := range o.Journal.unfinished() {
		s.resume(e)
	}
	return s
}

var errUntold = errors.New("the process before this one ended before the file was closed")

// resume goes on with what a process before this one has left. Its deletes may
// still arrive, too. What was stored stays: its writer may have been told.
func (s *Set) resume(e entry) {
	if e.stored {
		o := s.o
		o.Journal.told(e.key)
		o.Left(e.key, errUntold)
		o.Log.Warn("a file is stored, and its writer may not have been told so: if Orthanc does not know it, delete it by hand", "key", e.key)
		return
	}
	if !e.deleting {
		s.open(e.key, &upload{Upload: Upload{Mark: e.mark}})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.at(e.key)
	if e.deleting {
		s.owe(e.key, n, e.mark)
	}
	s.burn(e.key, n)
}

// Told notes that the writer of key has been told that it is stored: it went on
// with what comes after that.
func (s *Set) Told(key string) { s.o.Journal.told(key) }

// Close stops the looking. What is open is left to the Journal, or reported.
func (s *Set) Close() {
	s.cancel()
	s.work.Wait()
}

// at returns the name of key, which is made if need be. The caller holds s.mu.
func (s *Set) at(key string) *name {
	n := s.names[key]
	if n == nil {
		n = &name{}
		s.names[key] = n
	}
	return n
}

// tidy forgets key if nothing is open about it. The caller holds s.mu.
func (s *Set) tidy(key string) {
	n := s.names[key]
	if n != nil && !n.burnt.IsZero() && !time.Now().Before(n.burnt) {
		n.burnt = time.Time{}
	}
	if n != nil && n.idle() {
		delete(s.names, key)
		s.o.Journal.end(key)
	}
}

// Claim keeps open uploads of key from being deleted until the caller releases
// it, once.
func (s *Set) Claim(key string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.at(key)
	if n.claims == 0 {
		n.released = make(chan struct{})
	}
	n.claims++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if n.claims--; n.claims == 0 {
			close(n.released)
			n.released = nil
		}
		s.tidy(key)
	}
}

// Hidden reports that whatever is under key may be an open upload: it is not to
// be listed.
func (s *Set) Hidden(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.names[key]
	return n != nil && len(n.uploads) > 0 && !n.stored
}

// Hides reports that the object under key is an open upload, which is not there
// for anybody. It costs a request if Hidden reports true, and none otherwise.
func (s *Set) Hides(ctx context.Context, key string) (bool, error) {
	if !s.Hidden(key) {
		return false, nil
	}
	mark, _, err := markAt(ctx, s.o.Bucket, key)
	if err != nil {
		return false, absentIsFine(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.names[key]
	return n != nil && !n.stored && n.find(mark) != nil, nil
}

// find returns the open upload with a mark, or nil.
func (n *name) find(mark Mark) *upload {
	if i := slices.IndexFunc(n.uploads, func(u *upload) bool { return u.Mark == mark }); i >= 0 {
		return n.uploads[i]
	}
	return nil
}
