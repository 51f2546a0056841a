package breaker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"orthanc-bucketfs/backends"
)

// circuit is closed while the store answers one kind of call.
type circuit struct {
	kind   string
	probe  func(context.Context) error
	o      Options
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	probes sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	answered time.Time  // when the last answer came
	cause    error      // what opened it; nil while it is closed
	opened   time.Time
	closed   chan struct{}
	logged   bool // that it is open: a probe has failed, too
}

func newCircuit(kind string, probe func(context.Context) error, o Options) *circuit {
	c := &circuit{kind: kind, probe: probe, o: o}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func (c *circuit) close() {
	c.cancel()
	c.probes.Wait()
}

func (c *circuit) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause != nil
}

// refuses reports whether a call that comes now is refused at once.
func (c *circuit) refuses() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause != nil && time.Since(c.opened) >= c.o.Wait
}

// do carries out a call of the bucket inside, or refuses it.
func (c *circuit) do(ctx context.Context, op, key string, call func() error) error {
	if ctx.Err() != nil { // says nothing about the store
		return call()
	}
	if err := c.admit(ctx); err != nil {
		return &backends.Error{Op: op, Key: key, Err: err}
	}
	begin := time.Now()
	err := call()
	switch {
	case isAnswer(err):
		c.heard()
	case !errors.Is(err, context.Canceled):
		c.failed(begin, err)
	}
	return err
}

// admit returns nil when the circuit is closed.
func (c *circuit) admit(ctx context.Context) error {
	c.mu.Lock()
	cause, closed, opened := c.cause, c.closed, c.opened
	c.mu.Unlock()
	if cause == nil {
		return nil
	}
	wait := time.NewTimer(max(0, c.o.Wait-time.Since(opened)))
	defer wait.Stop()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", backends.ErrNotSent, context.Cause(ctx))
	case <-wait.C:
		return fmt.Errorf("the store does not answer, %w: %w", backends.ErrNotSent, cause)
	}
}

// heard closes the circuit.
func (c *circuit) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered = time.Now()
	if c.cause == nil {
		return
	}
	c.cause = nil
	close(c.closed)
	if c.logged {
		c.o.Log.Info("the store answers again", "kind", c.kind)
	}
	c.logged = false
}

// failed opens the circuit if nothing has been heard since begin.
func (c *circuit) failed(begin time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil || !c.answered.Before(begin) || c.ctx.Err() != nil {
		return
	}
	c.cause, c.opened, c.closed = err, time.Now(), make(chan struct{})
	c.probes.Go(c.untilHeard)
}

// probeFailed logs the outage once: a call that failed alone is none.
func (c *circuit) probeFailed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil && !c.logged && c.ctx.Err() == nil {
		c.logged = true
		c.o.Log.Error("the store does not answer: what needs it is refused at once until it does", "kind", c.kind, "error", err)
	}
}

// untilHeard probes until the circuit is closed.
func (c *circuit) untilHeard() {
	for c.isOpen() {
		ctx, cancel := context.WithTimeout(c.ctx, c.o.Patience)
		err := c.probe(ctx)
		cancel()
		if isAnswer(err) {
			c.heard()
			return
		}
		c.probeFailed(err)
		select {
		case <-time.After(c.o.Pause):
		case <-c.ctx.Done():
			return
		}
	}
}

// isAnswer reports that err is what a store says that can be reached.
func isAnswer(err error) bool {
	for _, answer := range []error{
		fs.ErrNotExist, fs.ErrExist, fs.ErrPermission,
		backends.ErrChanged, backends.ErrInvalidKey, errors.ErrUnsupported,
	} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return err == nil
}
