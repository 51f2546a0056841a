package memory

import (
	"slices"
	"sync"
	"time"

	"orthanc-bucketfs/fs/budget"
)

const (
	idleTime  = time.Second // how long memory that nobody uses stays
	idleFrame = 4 << 20     // bytes of the largest mapping that does
	idleShare = 8           // the part of the budget that all of it may take
)

// Pool is where Buffers come from. It is safe for concurrent use.
type Pool struct {
	budget *budget.Budget

	mu     sync.Mutex // guards the fields below; the budget's comes after it
	idle   []*idle    // as they were put
	bytes  int        // of them
	timer  *time.Timer
	closed bool
}

// idle is the memory of a Buffer that was freed. It is lent.
type idle struct {
	mem   []byte
	dirty int // bytes that may not be zero
	claim *budget.Claim
	since time.Time
}

// NewPool returns a Pool whose Buffers are within b. Close ends it.
func NewPool(b *budget.Budget) *Pool { return &Pool{budget: b} }

// Limit returns how many bytes the content of a Buffer may have.
func (p *Pool) Limit() int64 { return p.budget.Limit() }

// Close gives back what nobody uses, now and from now on.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.expire(0)
}

// put keeps memory, and what claim holds for it. It reports false if it did
// nothing.
func (p *Pool) put(mem []byte, dirty int, claim *budget.Claim) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	bytes := p.bytes + len(mem)
	if p.closed || len(mem) > idleFrame || int64(bytes) > p.budget.Limit()/idleShare {
		return false
	}
	m := &idle{mem: mem, dirty: dirty, since: time.Now()}
	if m.claim = claim.HandOver(func() { p.giveUp(m) }); m.claim == nil {
		return false
	}
	p.idle, p.bytes = append(p.idle, m), bytes
	if p.timer == nil {
		p.timer = time.AfterFunc(idleTime, func() { p.expire(idleTime) })
	}
	return true
}

// take hands out what was put last, which is most likely to be in the
// processor's cache, or nil.
func (p *Pool) take() *idle {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		m := p.idle[len(p.idle)-1]
		p.remove(m)
		if m.claim.TakeBack() {
			return m
		}
	}
	return nil
}

// remove takes m out, if it is there.
func (p *Pool) remove(m *idle) {
	if i := slices.Index(p.idle, m); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		p.bytes -= len(m.mem)
	}
}

// giveUp frees m for somebody who needs the memory.
func (p *Pool) giveUp(m *idle) {
	p.mu.Lock()
	p.remove(m)
	p.mu.Unlock()
	m.discard()
}

// expire frees what has been idle for so long, and comes again while there is
// more.
func (p *Pool) expire(after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 && time.Since(p.idle[0].since) >= after {
		m := p.idle[0]
		p.remove(m)
		if m.claim.TakeBack() {
			m.discard()
		}
	}
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if len(p.idle) > 0 {
		left := idleTime - time.Since(p.idle[0].since)
		p.timer = time.AfterFunc(left, func() { p.expire(idleTime) })
	}
}

// discard gives back memory that is not lent.
func (m *idle) discard() {
	unmap(m.mem)
	m.claim.Release()
}
