package fs

import (
	"sync"
	"time"
)

const (
	// maxPlaces is how many files may be gathered at one time.
	maxPlaces = 8

	// placePatience is how long a file waits for a place.
	placePatience = 100 * time.Millisecond

	// supposedSize is how many bytes the largest file is supposed to have as long
	// as none has been seen, unless a quarter of the budget is less.
	supposedSize = 64 << 20

	// sizeMemory is how long a large file is remembered.
	sizeMemory = time.Minute

	// smallFile is how many bytes a file may have whose place ends when its
	// upload begins. That of a larger one ends when it is closed, and its memory
	// has been given back.
	smallFile = 4 << 20
)

// places are for the files that the kernel gathers writes for. Such a file must
// never wait for memory, for then all of them would, also the one that could give
// some back. So there are no more of them than half of the budget has room for,
// if they are as large as the largest that was written lately; the other half is
// what the eldest of the others may take beyond the limit.
type places struct {
	limit int64 // of the budget, bytes

	mu      sync.Mutex // guards the fields below
	taken   int
	left    chan struct{} // closed when somebody leaves
	vain    bool          // nobody has left since somebody waited in vain
	largest int64         // bytes of the largest file that was written lately
	seen    time.Time     // when one of about that size was
}

func newPlaces(limit int64) *places { return &places{limit: limit, left: make(chan struct{})} }

// take reports whether it got a place. It waits for one unless that has just
// been in vain.
func (p *places) take() bool {
	patience := time.NewTimer(placePatience)
	defer patience.Stop()
	for {
		left, ok := p.try()
		if left == nil {
			return ok
		}
		select {
		case <-left:
		case <-patience.C:
			p.mu.Lock()
			p.vain = true
			p.mu.Unlock()
			return false
		}
	}
}

// try reports whether it got a place. It returns a channel to wait for if that
// makes sense.
func (p *places) try() (left <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.number()
	switch {
	case p.taken < n:
		p.taken++
		return nil, true
	case p.vain || n == 0:
		return nil, false
	}
	return p.left, false
}

// number returns how many places there are now.
func (p *places) number() int {
	size := min(supposedSize, p.limit/4)
	if time.Since(p.seen) < sizeMemory {
		size = max(size, p.largest)
	}
	return int(min(maxPlaces, p.limit/2/max(size, 1)))
}

func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	p.vain = false
	close(p.left)
	p.left = make(chan struct{})
}

// sized notes that a file has so many bytes by now.
func (p *places) sized(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if n >= p.largest || now.Sub(p.seen) >= sizeMemory {
		p.largest = n
	}
	if n >= p.largest/2 {
		p.seen = now
	}
}
