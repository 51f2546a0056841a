package fs

import (
	"container/list"
	"sync"
)

const (
	// maxNodes is how many attachments the kernel may know. Each takes about 1 KB
	// here for as long as the kernel remembers it, which without a shortage of
	// memory is for ever: a look at 10 million files would take 10 GB.
	maxNodes = 20_000

	// forgetters is how many directories may be waited for at a time: the kernel
	// forgets one when no listing of its parent is under way.
	forgetters = 4
)

// nodes bounds what the kernel knows: beyond maxNodes attachments it is asked to
// forget the directories that were used least lately, with all that is in them but
// what is open. That is done beside the requests, because the kernel waits for them
// to be answered.
type nodes struct {
	beyond chan struct{} // tells that there may be too many

	mu    sync.Mutex // guards the fields below
	count int
	used  *list.List // of *dirNode, least lately used first
}

func newNodes() *nodes { return &nodes{beyond: make(chan struct{}, 1), used: list.New()} }

// seen notes that the kernel is about to know n.
func (s *nodes) seen(n *attachmentNode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.known.CompareAndSwap(false, true) {
		s.count++
		n.dir.nodes++
	}
	s.touch(n.dir)
	if s.count <= maxNodes {
		return
	}
	select {
	case s.beyond <- struct{}{}:
	default:
	}
}

func (s *nodes) touch(d *dirNode) {
	if d.place == nil {
		d.place = s.used.PushBack(d)
	} else {
		s.used.MoveToBack(d.place)
	}
}

// forgotten notes that the kernel does not know n any more.
func (s *nodes) forgotten(n *attachmentNode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.known.CompareAndSwap(true, false) {
		s.count--
		n.dir.nodes--
	}
}

// left notes that the kernel does not know d any more.
func (s *nodes) left(d *dirNode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(d)
}

func (s *nodes) remove(d *dirNode) {
	if d.place != nil {
		s.used.Remove(d.place)
		d.place = nil
	}
}

// bound has the kernel forget what is too much until the mount has ended.
func (s *nodes) bound(ended <-chan struct{}) {
	for range forgetters {
		go s.forget(ended)
	}
}

func (s *nodes) forget(ended <-chan struct{}) {
	for {
		select {
		case <-s.beyond:
		case <-ended:
			return
		}
		for _, d := range s.excess() {
			d.forget()
		}
	}
}

// excess takes out as many of the directories as hold what is too much.
func (s *nodes) excess() (dirs []*dirNode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for left := s.count - maxNodes; left > 0 && s.used.Len() > 0; {
		d := s.used.Front().Value.(*dirNode)
		s.remove(d)
		dirs = append(dirs, d)
		left -= d.nodes
	}
	return dirs
}

// forget asks the kernel to forget n, a directory AA/BB.
func (n *dirNode) forget() {
	if name, parent := n.Parent(); parent != nil {
		_ = parent.NotifyEntry(name) // the kernel may have forgotten it by itself
	}
}
