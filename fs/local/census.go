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

	mu    sync.Mutex // guards the fields below
	used  *list.List // of *gofs.Inode, least lately looked up first
	known map[gofs.StableAttr]*list.Element
}

func newCensus() *census {
	return &census{beyond: make(chan struct{}, 1), used: list.New(), known: map[gofs.StableAttr]*list.Element{}}
}

// seen notes that the kernel is about to know n, or another node of the same file
// that it knows already.
func (c *census) seen(n *gofs.Inode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := c.known[n.StableAttr()]
	switch {
	case place == nil:
		c.known[n.StableAttr()] = c.used.PushBack(n)
	case place.Value.(*gofs.Inode).Forgotten():
		place.Value = n
		fallthrough
	default:
		c.used.MoveToBack(place)
	}
	if c.used.Len() <= maxNodes {
		return
	}
	select {
	case c.beyond <- struct{}{}:
	default:
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
		for n := c.excess(); n != nil; n = c.excess() {
			if name, parent := n.Parent(); parent != nil {
				_ = parent.NotifyEntry(name) // the kernel may have forgotten it by itself
			}
		}
	}
}

// excess takes one out that is too much, or returns nil.
func (c *census) excess() *gofs.Inode {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used.Len() <= maxNodes {
		return nil
	}
	n := c.used.Remove(c.used.Front()).(*gofs.Inode)
	delete(c.known, n.StableAttr())
	return n
}
