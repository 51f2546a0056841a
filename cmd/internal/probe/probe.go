// Package probe asks questions whose answer may never come, without waiting for
// it for ever.
//
// # Contract
//
//   - At most one question is under way, however many ask and however often:
//     what hangs costs one goroutine, and what that holds.
//   - Check returns when the question is answered, or when its context ends.
//     Whoever asks while a question is under way shares its answer: it comes
//     later than the call, and so tells of a time after it.
//   - A question outlives those who have stopped waiting for its answer.
package probe

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Probe is a question that can be asked again and again. It is safe for
// concurrent use.
type Probe struct {
	ask func() error

	mu      sync.Mutex // guards current
	current *question  // nil while none is under way
}

type question struct {
	since    time.Time
	answered chan struct{} // closed when err is there
	err      error
}

// New returns a Probe. ask returns nil if all is well.
func New(ask func() error) *Probe { return &Probe{ask: ask} }

// Check returns the answer, or that there is none yet.
func (p *Probe) Check(ctx context.Context) error {
	q := p.question()
	select {
	case <-q.answered:
		return q.err
	case <-ctx.Done():
		return fmt.Errorf("no answer for %s: %w", time.Since(q.since).Round(time.Second), context.Cause(ctx))
	}
}

// question returns the one under way, or a new one.
func (p *Probe) question() *question {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		p.current = &question{since: time.Now(), answered: make(chan struct{})}
		go p.put(p.current)
	}
	return p.current
}

func (p *Probe) put(q *question) {
	q.err = p.ask()
	p.mu.Lock()
	p.current = nil
	p.mu.Unlock()
	close(q.answered)
}
