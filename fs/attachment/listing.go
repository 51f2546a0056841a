package attachment

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"orthanc-bucketfs/backends"
)

// maxListings bounds the memory that listings take: 40 bytes an attachment,
// about 23 MB for one of 256 listings of 150 million attachments.
const maxListings = 4

var errAborted = errors.New("listing was aborted")

// listings keeps what recursive listings of "AA/" found, for a few seconds, so
// that walking the tree costs one request per page of objects. Presence in a
// listing is believed; absence never is.
type listings struct {
	ttl time.Duration

	mu    sync.Mutex // guards byDir and all fields of every listing but loaded
	byDir map[byte]*listing
}

type listing struct {
	loaded  chan struct{} // closed when entries and err are final
	err     error
	entries []entry   // by ascending UUID
	changes []change  // made through this store while loading
	expires time.Time // zero while loading
}

// entry is one object, without its key and version, which would take more
// memory than all the rest.
type entry struct {
	uuid     UUID
	stored   int64 // object size, bytes
	modified int64 // Unix time, ns
	form     form
}

type change struct {
	entry   entry
	deleted bool
}

func newListings(ttl time.Duration) *listings {
	return &listings{ttl: ttl, byDir: map[byte]*listing{}}
}

// find returns the object of u, and when that was true, if a listing that is
// still believed has it and knows more of it than its name.
func (l *listings) find(u UUID) (obj backends.Object, seen time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	li := l.byDir[u[0]]
	if li == nil || li.stale(time.Now()) {
		return backends.Object{}, time.Time{}, false
	}
	i, ok := li.search(u)
	if !ok || li.entries[i].form == fallbackForm {
		return backends.Object{}, time.Time{}, false
	}
	e := li.entries[i]
	return backends.Object{Key: e.form.key(u), Size: e.stored, Modified: time.Unix(0, e.modified)}, li.expires.Add(-l.ttl), true
}

// created and deleted keep the listings true to what this store did.
func (l *listings) created(u UUID, obj backends.Object) {
	l.apply(change{entry: entry{u, obj.Size, obj.Modified.UnixNano(), legacyForm}})
}

func (l *listings) deleted(u UUID) {
	l.apply(change{entry: entry{uuid: u}, deleted: true})
}

// forget drops the listing that u is in: it was found to be out of date.
func (l *listings) forget(u UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if li := l.byDir[u[0]]; li != nil && !li.expires.IsZero() {
		delete(l.byDir, u[0])
	}
}

func (l *listings) apply(c change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	li := l.byDir[c.entry.uuid[0]]
	switch {
	case li == nil:
	case li.expires.IsZero():
		li.changes = append(li.changes, c)
	default:
		li.apply(c)
	}
}

// get returns the entries under AA = dir, in order. The caller must not change
// them. load is called if no listing is fresh; concurrent callers share it.
func (l *listings) get(ctx context.Context, dir byte, load func() ([]entry, error)) ([]entry, error) {
	for {
		li, mine := l.claim(dir)
		if mine {
			l.load(dir, li, load)
		}
		select {
		case <-li.loaded:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		entries, err := l.result(li)
		if mine || !errors.Is(err, context.Canceled) {
			return entries, err
		}
		// The caller who was loading for all of us gave up: it is our turn.
	}
}

func (l *listings) result(li *listing) ([]entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return li.entries, li.err
}

// claim returns the listing of dir, and whether the caller has to load it.
func (l *listings) claim(dir byte) (li *listing, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if li := l.byDir[dir]; li != nil && (li.expires.IsZero() || !li.stale(now)) {
		return li, false
	}
	l.evict(now)
	li = &listing{loaded: make(chan struct{})}
	l.byDir[dir] = li
	return li, true
}

// evict drops stale listings, and the oldest one if there are still too many.
func (l *listings) evict(now time.Time) {
	oldest, found := byte(0), false
	for dir, li := range l.byDir {
		switch {
		case li.expires.IsZero():
		case li.stale(now):
			delete(l.byDir, dir)
		case !found || li.expires.Before(l.byDir[oldest].expires):
			oldest, found = dir, true
		}
	}
	if found && len(l.byDir) >= maxListings {
		delete(l.byDir, oldest)
	}
}

func (l *listings) load(dir byte, li *listing, load func() ([]entry, error)) {
	var entries []entry
	err := errAborted
	defer func() { l.finish(dir, li, entries, err) }() // also when load panics
	entries, err = load()
}

func (l *listings) finish(dir byte, li *listing, entries []entry, err error) {
	defer close(li.loaded)
	l.mu.Lock()
	defer l.mu.Unlock()
	li.entries, li.err = entries, err
	li.expires = time.Now().Add(l.ttl)
	if err != nil {
		delete(l.byDir, dir)
		return
	}
	for _, c := range li.changes {
		li.apply(c)
	}
	li.changes = nil
}

func (li *listing) stale(now time.Time) bool { return now.After(li.expires) }

func (li *listing) search(u UUID) (int, bool) {
	return slices.BinarySearchFunc(li.entries, u, func(e entry, u UUID) int {
		return bytes.Compare(e.uuid[:], u[:])
	})
}

// apply replaces the entries: readers may hold the old slice.
func (li *listing) apply(c change) {
	i, ok := li.search(c.entry.uuid)
	switch {
	case c.deleted && ok:
		li.entries = slices.Concat(li.entries[:i], li.entries[i+1:])
	case !c.deleted && !ok:
		li.entries = slices.Concat(li.entries[:i], []entry{c.entry}, li.entries[i:])
	}
}
