package metrics

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	reachLately   = 30 * time.Second // an answer of the store is believed for so long
	askAtMost     = 10 * time.Second // between two requests that are made to find out
	askPatience   = 5 * time.Second  // for the answer to one
	mountPatience = 5 * time.Second  // for the mount to answer
)

// reach knows whether the store could be reached lately.
type reach struct {
	mu   sync.Mutex // guards last
	last time.Time  // the store answered

	asking chan struct{} // holds a value while the store is asked; guards asked and err
	asked  time.Time
	err    error // what came of it
}

func newReach() *reach { return &reach{asking: make(chan struct{}, 1)} }

func (r *reach) reached(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = at
}

func (r *reach) lately(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Sub(r.last) < reachLately
}

// check returns nil if the store answered lately, or does so when it is asked
// now. Whoever comes while it is being asked shares the answer.
func (r *reach) check(ctx context.Context, ask func(context.Context) error) error {
	if r.lately(time.Now()) {
		return nil
	}
	select {
	case r.asking <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-r.asking }()
	if r.lately(time.Now()) {
		return nil
	}
	if r.err == nil || time.Since(r.asked) >= askAtMost {
		r.asked = time.Now()
		r.err = askStore(ctx, ask)
	}
	return r.err
}

func askStore(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askPatience)
	defer cancel()
	if err := ask(ctx); err != nil {
		return fmt.Errorf("the bucket does not answer: %w", err)
	}
	return nil
}
