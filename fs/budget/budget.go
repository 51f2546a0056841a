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

	mu      sync.Mutex     // guards all below, and the fields of every Claim and waiter
	used    int64          // sum of what all claims hold
	sums    [classes]int64 // of those that are not lent, by class
	tickets uint64         // the last ticket given out
	queue   []*waiter      // by ascending ticket
	elder   *Claim         // the one claim that may hold bytes beyond the limit

	lent      []*Claim // as they were lent
	lentBytes int64    // what they hold, a part of used
	calling   int      // claims being called in
}

// Claim is one file's share of a Budget. Only one goroutine may use it at a
// time.
type Claim struct {
	budget *Budget
	class  Class
	ticket uint64 // 0 until it first asks
	held   int64
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

// Claim returns an empty claim of a class.
func (b *Budget) Claim(class Class) *Claim { return &Claim{budget: b, class: class} }

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
	if !b.allows(c, c.held, n, ceiling) {
		return false
	}
	b.line(c)
	b.add(c, more)
	return true
}

// allows reports that c may hold n bytes, had of which are in the sum already,
// without waiting.
func (b *Budget) allows(c *Claim, had, n, ceiling int64) bool {
	within := c.class != Write || b.sum(Write)+n-c.held <= b.share(Write)
	return len(b.queue) == 0 && b.used+n-had <= min(ceiling, b.limit) && within
}

// Hurry makes c urgent, for good: it passes all others, and is given more
// beyond the limit, up to twice the limit for the sum.
func (c *Claim) Hurry() {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sums[c.class] -= c.held
	c.class = urgent
	b.sums[c.class] += c.held
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
	b.settleElder()
	b.serve()
	return fmt.Errorf("waiting for %d bytes of memory: %w", w.more, cause)
}

func (b *Budget) grant(w *waiter) {
	b.add(w.claim, w.more)
	close(w.granted)
}

// add has c hold n bytes more. c is not lent.
func (b *Budget) add(c *Claim, n int64) {
	c.held += n
	b.used += n
	b.sums[c.class] += n
}

func (b *Budget) free(c *Claim, n int64) {
	b.add(c, -n)
	b.settleElder()
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
