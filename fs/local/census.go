package local

import (
	"container/list"
	"sync"

	gofs "github.com/hanwen/go-fuse/v2/fs"
)

const (
	// maxNodes is how many files and directories the kernel may know. Each takes
	// about 1 KB here for as long as the kernel remembers it, which without a
	// shortage of memory is for ever.
	maxNodes = 20_000

	// forgetters is how many names may be waited for at a time: the kernel forgets
	// one when nobody else changes its directory.
	forgetters = 4
)

// census bounds what the kernel knows: beyond maxNodes it is asked to forget the
// names that were looked up least lately, but for what is open. That is done beside
// the requests, because the kernel waits for them to be answered.
type census struct {
	beyond chan struct{} // tells that there may be too many

	mu    sync.Mutex // guards the fields below; a leaf
	used  *list.List // of entry, least lately looked up first
	known map[entry]*list.Element
}

// entry is a name in a directory of the mounted tree.
type entry struct {
	dir  *gofs.Inode
	name string
}

func newCensus() *census {
	return &census{beyond: make(chan struct{}, 1), used: list.New(), known: map[entry]*list.Element{}}
}

// seen notes that the kernel is about to know e.
func (c *census) seen(e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if place := c.known[e]; place != nil {
		c.used.MoveToBack(place)
		return
	}
	c.known[e] = c.used.PushBack(e)
	if c.used.Len() <= maxNodes {
		return
	}
	select {
	case c.beyond <- struct{}{}:
	default:
	}
}

// gone notes that the kernel does not know e any more.
func (c *census) gone(e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if place := c.known[e]; place != nil {
		c.used.Remove(place)
		delete(c.known, e)
	}
}

// Bound has the kernel forget what is too much until the mount has ended.
func (t *Tree) Bound(ended <-chan struct{}) {
	for range forgetters {
		go t.census.forget(ended)
	}
}

func (c *census) forget(ended <-chan struct{}) {
	for {
		select {
		case <-c.beyond:
		case <-ended:
			return
		}
		for e, ok := c.excess(); ok; e, ok = c.excess() {
			_ = e.dir.NotifyEntry(e.name) // the kernel may have forgotten it by itself
		}
	}
}

// excess takes out one that is too much, if there is one.
func (c *census) excess() (e entry, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used.Len() <= maxNodes {
		return entry{}, false
	}
	e = c.used.Remove(c.used.Front()).(entry)
	delete(c.known, e)
	return e, true
}
