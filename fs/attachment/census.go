package attachment

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
)

const (
	censusRoom     = 1 << 20 // names that the first filter of a census has room for
	censusMistakes = 0.003   // share of free names that a filter takes for taken ones; costs 12 bits a name
	maxDoubts      = 1024    // names said to be free at one time that may turn out not to be
	doubtPause     = 2 * time.Second
)

// census knows the name of every attachment that there may be in the bucket, so
// that one it has never heard of is free without a look: Orthanc looks at every
// name before it stores a file. It takes some for taken that are free, which
// costs the look. It needs to be the only one that brings names into the bucket.
//
// Whether it is shows by what becomes of the names it has called free. One that
// is not stored a moment later was looked at for another reason; if the bucket has
// it after all, the census is wrong, and is not believed any more.
type census struct {
	log *slog.Logger

	// stored looks for a name in the bucket.
	stored func(context.Context, UUID) (bool, error)
	// wrong is called if the census is.
	wrong func()

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	asking sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	names  []*bloom.BloomFilter
	room   uint                 // names that still go into the last one
	next   uint                 // names that another one will have room for
	whole  bool                 // every name in the bucket has been noted
	doubts map[UUID]*time.Timer // names said to be free and not stored yet
}

func newCensus(log *slog.Logger, stored func(context.Context, UUID) (bool, error), wrong func()) *census {
	ctx, cancel := context.WithCancel(context.Background())
	return &census{
		log: log, stored: stored, wrong: wrong, ctx: ctx, cancel: cancel,
		next: censusRoom, doubts: map[UUID]*time.Timer{},
	}
}

// note adds a name that is in the bucket, or that a file is about to be written
// under; then that is what it was looked at for.
func (c *census) note(u UUID) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(u)
	if t := c.doubts[u]; t != nil {
		t.Stop()
		delete(c.doubts, u)
	}
}

func (c *census) add(u UUID) {
	if c.has(u) {
		return
	}
	if c.room == 0 {
		c.names = append(c.names, bloom.NewWithEstimates(c.next, censusMistakes))
		c.room, c.next = c.next, 2*c.next
	}
	c.names[len(c.names)-1].Add(u[:])
	c.room--
}

func (c *census) has(u UUID) bool {
	for _, f := range c.names {
		if f.Test(u[:]) {
			return true
		}
	}
	return false
}

// completed tells that every name in the bucket has been noted.
func (c *census) completed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = c.ctx.Err() == nil
}

// rulesOut reports that the bucket does not have u.
func (c *census) rulesOut(u UUID) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.whole || c.has(u) || len(c.doubts) >= maxDoubts {
		return false
	}
	if c.doubts[u] == nil {
		c.doubts[u] = time.AfterFunc(doubtPause, func() { c.doubt(u) })
	}
	return true
}

// doubt finds out whether u is free, as was said.
func (c *census) doubt(u UUID) {
	c.mu.Lock()
	open := c.doubts[u] != nil && c.ctx.Err() == nil
	delete(c.doubts, u)
	if open {
		c.asking.Add(1)
	}
	c.mu.Unlock()
	if !open {
		return
	}
	defer c.asking.Done()
	stored, err := c.stored(c.ctx, u)
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		c.log.Warn("could not find out whether somebody else has stored a file; it is looked for when it is asked for", "key", u.Key(), "error", err)
		c.note(u)
	case stored:
		c.refute(u)
	}
}

// refute ends the census because the bucket has u, unless it is this Store that
// has stored it meanwhile.
func (c *census) refute(u UUID) {
	c.mu.Lock()
	ours := c.has(u) || !c.whole
	if !ours {
		c.whole, c.names, c.room = false, nil, 0
		c.cancel()
	}
	c.mu.Unlock()
	if ours {
		return
	}
	c.log.Error("a file was reported missing that somebody else has stored: sole_writer is set, but this mount is not the only one that "+
		"stores into the bucket: remove the setting; until the next start every name is looked for", "key", u.Key())
	c.wrong()
}

// close ends what is under way.
func (c *census) close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.cancel()
	for u, t := range c.doubts {
		t.Stop()
		delete(c.doubts, u)
	}
	c.mu.Unlock()
	c.asking.Wait()
}

// stored reports whether the bucket has u, without fetching anything of it.
func (s *Store) stored(ctx context.Context, u UUID) (bool, error) {
	ctx, cancel := s.timing.Request.bound(ctx, 0)
	defer cancel()
	_, err := s.bucket.Stat(ctx, u.Key())
	if !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	if s.layout != Flat {
		return false, nil
	}
	flat, err := s.flatObjects(ctx, u)
	return len(flat) > 0, err
}
