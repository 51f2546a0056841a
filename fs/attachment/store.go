package attachment

import (
	"cmp"
	"context"
	"io/fs"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/budget"
	"orthanc-bucketfs/fs/memory"
	"orthanc-bucketfs/fs/unsettled"
)

// Info describes a committed attachment.
type Info struct {
	UUID     UUID
	Size     int64 // bytes of the file, not of the object
	Modified time.Time
	Version  string    // the object's; empty if it came from a listing
	Seen     time.Time // when this was true

	at location
}

// key returns the key of the object that i describes.
func (i Info) key() string { return cmp.Or(i.at.key, i.UUID.Key()) }

// Options are what a Store is made of.
type Options struct {
	Bucket backends.Bucket
	Layout Layout // of what is read and deleted; new files are stored as in Legacy
	Codec  Codec

	// AcceptPlaintext makes objects that do not begin as an envelope count as
	// files, to be read until they are sealed. New files are sealed.
	AcceptPlaintext bool

	// SoleWriter promises that nothing else brings names into Bucket. After
	// LearnNames, one that is not known is then taken for free without a request.
	// It cannot be had with a Fallback, from which files are imported meanwhile.
	SoleWriter bool

	// Fallback holds, in layout legacy, plain files of before the bucket, or is
	// nil. What is not in Bucket is read from there, and deletes reach both.
	Fallback backends.Bucket

	Budget *budget.Budget
	Log    *slog.Logger
	Timing Timing

	// Journal notes what is being stored, for the next process after a crash; or
	// nil. The Store does not close it.
	Journal *unsettled.Journal

	// Observe is told of every operation when it has ended, if it is not nil.
	// It is called concurrently, and must return soon.
	Observe func(Operation)
}

// Counters count what an operator should hear of.
type Counters struct {
	Open       atomic.Int64 // Files, now
	Writing    atomic.Int64 // Writers that have not ended, now
	Committing atomic.Int64 // uploads, now
	Unsettled  atomic.Int64 // uploads that are looked for, and deletes that are made up for, now

	// The rest only grows.
	Settled       atomic.Int64 // lost answers whose object was found whole
	OrphansGone   atomic.Int64 // objects of failed commits and deletes that were found and deleted
	OrphansLeft   atomic.Int64 // failed commits and deletes whose object could not be ruled out
	FailedDeletes atomic.Int64 // Deletes that have failed
	OtherWriters  atomic.Int64 // files reported missing that somebody else had stored, against SoleWriter: 1 at most
}

// Store keeps attachments in a bucket. It is safe for concurrent use.
type Store struct {
	bucket    backends.Bucket
	layout    Layout
	codec     Codec
	mixed     bool            // plaintext is accepted among envelopes
	fallback  backends.Bucket // nil for none
	memory    *memory.Pool
	log       *slog.Logger
	timing    Timing
	listings  *listings
	shelf     *shelf
	census    *census // nil unless this is the sole writer
	unsettled *unsettled.Set
	commits   sync.WaitGroup      // commits in flight
	fetches   sync.WaitGroup      // flights
	sending   *semaphore.Weighted // bytes that are being sent
	observe   func(Operation)

	Counters Counters
}

// NewStore returns a Store. Close ends it.
func NewStore(o Options) *Store {
	s := &Store{
		bucket:   o.Bucket,
		layout:   o.Layout,
		codec:    o.Codec,
		mixed:    o.AcceptPlaintext,
		fallback: o.Fallback,
		memory:   memory.NewPool(o.Budget),
		log:      o.Log,
		timing:   o.Timing,
		observe:  o.Observe,
		listings: newListings(o.Timing.Listing),
		shelf:    newShelf(o.Timing, o.Budget.Limit()),
		sending:  semaphore.NewWeighted(maxSending),
	}
	s.unsettled = unsettled.New(s.unsettledOptions(o))
	if o.SoleWriter {
		s.census = newCensus(o.Log, s.stored, func() { s.Counters.OtherWriters.Add(1) })
	}
	return s
}

// Close waits for the commits in flight and stops looking for uploads whose
// outcome is open; without a journal they are logged and counted.
func (s *Store) Close() {
	s.commits.Wait()
	s.unsettled.Close()
	s.census.close()
	s.fetches.Wait()
	s.shelf.clear()
	s.memory.Close()
}

// Limit returns how many bytes the largest attachment may have.
func (s *Store) Limit() int64 { return s.memory.Limit() }

// HasFallback tells whether attachments may be found outside of the bucket.
func (s *Store) HasFallback() bool { return s.fallback != nil }

// Stat describes the attachment u with at most one request, and none if it is
// known from a listing, has been here a moment ago, or cannot be there. What is small comes with
// the answer, and is kept for Open for a moment, if memory is plentiful. In layout flat, what is not
// under its legacy key takes one more, and plaintext among flat names a third.
func (s *Store) Stat(ctx context.Context, u UUID) (i Info, err error) {
	op := s.begin(Looked, u.Key())
	defer func() { op.end(i.Size, err) }()
	if info, ok, err := s.known(u); ok {
		op.FromMemory = true
		return info, err
	}
	if s.census.rulesOut(u) {
		op.FromMemory = true
		return Info{}, &Error{Op: "stat", Key: u.Key(), Err: fs.ErrNotExist}
	}
	ctx, cancel := s.timing.Request.bound(ctx, 0)
	defer cancel()
	l := s.shelf.begin(u)
	defer s.shelf.end(l)
	seen := time.Now()
	f, err := s.locate(ctx, u)
	if err != nil {
		return Info{}, &Error{Op: "stat", Key: u.Key(), Err: err}
	}
	info, err := s.info("stat", u, f, seen)
	s.keep(ctx, l, info, f.first, err)
	return info, err
}

// known describes u if that takes no request. What was committed here has a
// version, and is believed unless a listing that is newer tells otherwise.
func (s *Store) known(u UUID) (info Info, ok bool, err error) {
	info, ok = s.shelf.find(u)
	obj, seen, listed := s.listings.find(u)
	listed = listed && (!s.mixed || namedSealed(obj.Key)) // else the size depends on what it holds
	listed = listed && !s.unsettled.Hidden(obj.Key)
	if !listed || ok && !seen.After(info.Seen) {
		return info, ok, nil
	}
	if known := info; ok {
		if info, err = s.info("stat", u, found{obj: obj}, seen); err == nil && info.Size == known.Size && info.Modified.Equal(known.Modified) {
			return known, true, nil
		}
		s.shelf.forget(u)
	}
	info, err = s.info("stat", u, found{obj: obj}, seen)
	return info, true, err
}

// isOf reports that i describes the version that want does.
func (i Info) isOf(want Info) bool {
	if i.Size != want.Size || i.at != want.at {
		return false
	}
	if want.Version == "" {
		return i.Modified.Equal(want.Modified)
	}
	return i.Version == want.Version
}

func (s *Store) info(op string, u UUID, f found, seen time.Time) (Info, error) {
	obj, at := f.obj, location{plain: f.plain, fallback: f.fallback}
	size, err := s.codecAt(at).PlainSize(obj.Size)
	if err == nil {
		err = s.checkName(obj.Key)
	}
	if err != nil {
		return Info{}, &Error{Op: op, Key: obj.Key, Version: obj.Version, Err: err}
	}
	if obj.Key != u.Key() {
		at.key = obj.Key
	}
	return Info{UUID: u, Size: size, Modified: obj.Modified, Version: obj.Version, Seen: seen, at: at}, nil
}

func formatKeyID(id uint32) string { return strconv.FormatUint(uint64(id), 10) }
