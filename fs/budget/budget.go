package budget

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

var (
	// ErrTooLarge reports a claim above the budget's limit.
	ErrTooLarge = errors.New("larger than the memory budget")
	// ErrBusy reports that patience ended before the claim's turn came.
	ErrBusy = errors.New("memory budget exhausted")
)

// Budget is a number of bytes shared by claims. It is safe for concurrent use.
type Budget struct {
	limit    int64
	patience time.Duration

	mu      sync.Mutex // guards all below, and the fields of every Claim and waiter
	used    int64      // sum of what all claims hold
	tickets uint64     // the last ticket given out
	queue   []*waiter  // by ascending ticket
	elder   *Claim     // the one claim that may hold bytes beyond the limit

	lent      []*Claim // as they were lent
	lentBytes int64    // what they hold, a part of used
	calling   int      // claims being called in
}

// Claim is one file's share of a Budget. Only one goroutine may use it at a
// time.
type Claim struct {
	budget *Budget
	ticket uint64 // 0 until it first asks
	held   int64
	urgent bool   // must not wait for claims within the limit
	giveUp func() // of a claim that is lent
}

type waiter struct {
	claim   *Claim
	more    int64
	since   time.Time
	granted chan struct{} // closed when the claim holds more
}

// New returns a budget of limit bytes in which nobody waits longer than
// patience for one grant.
func New(limit int64, patience time.Duration) *Budget {
	return &Budget{limit: limit, patience: patience}
}

// Limit returns the number of bytes that New was given.
func (b *Budget) Limit() int64 { return b.limit }

// Claim returns an empty claim.
func (b *Budget) Claim() *Claim { return &Claim{budget: b} }

// Grow makes c hold n bytes in all, waiting for its turn if need be. It does
// nothing if c holds n bytes or more. The error wraps ErrTooLarge, ErrBusy or
// ctx's cause.
func (c *Claim) Grow(ctx context.Context, n int64) error {
	b := c.budget
	if n > b.limit {
		return fmt.Errorf("%w: %d bytes needed, limit %d", ErrTooLarge, n, b.limit)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	b.makeRoom(c, n)
	w := b.enqueue(c, n)
	if w == nil {
		return nil
	}
	b.makeRoomForAll()
	return b.wait(ctx, w)
}

// TryGrow makes c hold n bytes in all if it can be done without waiting, while
// nobody else waits, and with the sum of all claims within ceiling bytes. It
// reports whether c holds n bytes.
func (c *Claim) TryGrow(n, ceiling int64) bool {
	b := c.budget
	ceiling = min(ceiling, b.limit)
	b.tryMakeRoom(c, n, ceiling)
	b.mu.Lock()
	defer b.mu.Unlock()
	more := n - c.held
	if more <= 0 {
		b.line(c) // it may have been handed over
		return true
	}
	if len(b.queue) > 0 || b.used+more > ceiling {
		return false
	}
	b.line(c)
	c.held += more
	b.used += more
	return true
}

// Hurry makes c urgent, for good: it passes all others, and is given more
// beyond the limit, up to twice the limit for the sum.
func (c *Claim) Hurry() {
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	c.urgent = true
}

// Shrink makes c hold at most n bytes.
func (c *Claim) Shrink(n int64) {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if n < c.held {
		b.free(c, c.held-n)
	}
}

// Release gives back all that c holds. The claim's place is lost: should it
// grow again, it queues as a new one.
func (c *Claim) Release() {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	c.ticket = 0
	b.free(c, c.held)
}

// Usage is a snapshot of a budget.
type Usage struct {
	Limit      int64         // bytes
	Used       int64         // bytes, without Lent
	Lent       int64         // bytes that are kept until somebody needs them
	Waiting    int           // claims in the queue
	OldestWait time.Duration // of them
}

// Usage returns the present state.
func (b *Budget) Usage() Usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Usage{
		Limit: b.limit, Used: b.used - b.lentBytes, Lent: b.lentBytes,
		Waiting: len(b.queue), OldestWait: b.oldestWait(),
	}
}

// oldestWait is not always that of the first in the queue: a claim that grows
// keeps its place.
func (b *Budget) oldestWait() time.Duration {
	if len(b.queue) == 0 {
		return 0
	}
	oldest := slices.MinFunc(b.queue, func(a, b *waiter) int { return a.since.Compare(b.since) })
	return time.Since(oldest.since)
}

// enqueue puts c in the queue and serves it. It returns nil if c was granted
// its wish at once.
func (b *Budget) enqueue(c *Claim, n int64) *waiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n <= c.held {
		return nil
	}
	w := &waiter{claim: c, more: n - c.held, since: time.Now(), granted: make(chan struct{})}
	if b.passes(w) {
		b.grant(w)
		return nil
	}
	b.line(c)
	i, _ := slices.BinarySearchFunc(b.queue, c.ticket, func(w *waiter, t uint64) int {
		return int(int64(w.claim.ticket - t))
	})
	b.queue = slices.Insert(b.queue, i, w)
	b.serve()
	if isClosed(w.granted) {
		return nil
	}
	return w
}

// line gives c its place, unless it has one.
func (b *Budget) line(c *Claim) {
	if c.ticket == 0 {
		b.tickets++
		c.ticket = b.tickets
	}
}

func (b *Budget) wait(ctx context.Context, w *waiter) error {
	ctx, cancel := context.WithTimeoutCause(ctx, b.patience, ErrBusy)
	defer cancel()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		return b.withdraw(w, context.Cause(ctx))
	}
}

// withdraw takes w out of the queue, unless it was granted in the meantime.
func (b *Budget) withdraw(w *waiter, cause error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if isClosed(w.granted) {
		return nil
	}
	b.queue = slices.DeleteFunc(b.queue, func(q *waiter) bool { return q == w })
	if w.claim.held == 0 {
		w.claim.ticket = 0
	}
	b.serve()
	return fmt.Errorf("waiting for %d bytes of memory: %w", w.more, cause)
}

// serve grants to those that may pass, and then from the head of the queue for
// as long as the head fits.
func (b *Budget) serve() {
	for {
		i := slices.IndexFunc(b.queue, b.passes)
		if i < 0 && len(b.queue) > 0 && b.fits(b.queue[0]) {
			i = 0
		}
		if i < 0 {
			return
		}
		w := b.queue[i]
		b.queue = slices.Delete(b.queue, i, i+1)
		b.grant(w)
	}
}

// passes reports that w is to be granted before those ahead of it: they wait
// for the elder, and for what is urgent, which must not wait for them.
func (b *Budget) passes(w *waiter) bool {
	return (w.claim == b.elder || w.claim.urgent) && b.used+w.more <= 2*b.limit
}

// fits reports that the head of the queue is to be granted.
func (b *Budget) fits(w *waiter) bool {
	if b.used+w.more <= b.limit {
		return true
	}
	if w.claim.held > 0 && b.elder == nil {
		b.elder = w.claim
	}
	return b.passes(w)
}

func (b *Budget) grant(w *waiter) {
	w.claim.held += w.more
	b.used += w.more
	close(w.granted)
}

func (b *Budget) free(c *Claim, n int64) {
	c.held -= n
	b.used -= n
	if b.used <= b.limit {
		b.elder = nil
	}
	b.serve()
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
