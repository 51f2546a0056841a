package attachment

import (
	"cmp"
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/budget"
)

// Info describes a committed attachment.
type Info struct {
	UUID     UUID
	Size     int64 // bytes of the file, not of the object
	Modified time.Time
	Version  string // the object's; empty if it came from a listing

	at string // the object's key; empty for UUID.Key
}

// key returns the key of the object that i describes.
func (i Info) key() string { return cmp.Or(i.at, i.UUID.Key()) }

// Options are what a Store is made of.
type Options struct {
	Bucket backends.Bucket
	Layout Layout // of what is read and deleted; new files are stored as in Legacy
	Codec  Codec
	Budget *budget.Budget
	Log    *slog.Logger
	Timing Timing
}

// Counters count what an operator should hear of. They only grow.
type Counters struct {
	Settled       atomic.Int64 // lost answers whose object was found whole
	OrphansGone   atomic.Int64 // objects of failed commits that were found and deleted
	OrphansLeft   atomic.Int64 // failed commits whose object could not be ruled out
	FailedDeletes atomic.Int64 // deletes given up
}

// Store keeps attachments in a bucket. It is safe for concurrent use.
type Store struct {
	bucket   backends.Bucket
	layout   Layout
	codec    Codec
	budget   *budget.Budget
	log      *slog.Logger
	timing   Timing
	listings *listings
	orphans  *orphans
	commits  sync.WaitGroup // commits in flight

	Counters Counters
}

// NewStore returns a Store. Close ends it.
func NewStore(o Options) *Store {
	s := &Store{
		bucket:   o.Bucket,
		layout:   o.Layout,
		codec:    o.Codec,
		budget:   o.Budget,
		log:      o.Log,
		timing:   o.Timing,
		listings: newListings(o.Timing.Listing),
	}
	s.orphans = newOrphans(s)
	return s
}

// Close waits for the commits in flight and stops looking for orphans; those
// still undecided are logged and counted.
func (s *Store) Close() {
	s.commits.Wait()
	s.orphans.close()
}

// Stat describes the attachment u with at most one request, or in layout flat
// two, if it is not under its legacy key.
func (s *Store) Stat(ctx context.Context, u UUID) (Info, error) {
	if obj, ok := s.listings.find(u); ok {
		return s.info("stat", u, obj)
	}
	ctx, cancel := s.timing.Request.bound(ctx, 0)
	defer cancel()
	obj, err := s.locate(ctx, u)
	if err != nil {
		return Info{}, &Error{Op: "stat", Key: u.Key(), Err: err}
	}
	return s.info("stat", u, obj)
}

func (s *Store) info(op string, u UUID, obj backends.Object) (Info, error) {
	size, err := s.codec.PlainSize(obj.Size)
	if err == nil {
		err = s.checkName(obj.Key)
	}
	if err != nil {
		return Info{}, &Error{Op: op, Key: obj.Key, Version: obj.Version, Err: err}
	}
	info := Info{UUID: u, Size: size, Modified: obj.Modified, Version: obj.Version}
	if obj.Key != u.Key() {
		info.at = obj.Key
	}
	return info, nil
}

func formatKeyID(id uint32) string { return strconv.FormatUint(uint64(id), 10) }
