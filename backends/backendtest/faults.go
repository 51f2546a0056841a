package backendtest

import (
	"context"
	"io"
)

// Request is a call on its way to the inner bucket.
type Request struct {
	Call
	do   func(context.Context) error
	body []byte // what a Read has filled
}

// Do carries the call out in the inner bucket. At most one Do may be under way
// at a time.
func (r *Request) Do(ctx context.Context) error { return r.do(ctx) }

// A Fault stands between a call and the inner bucket. It may carry the call
// out, or not, and what it returns is the error of the call. When that is nil
// the caller gets the results of the last Do, so a Fault that returns nil must
// have called it.
type Fault func(ctx context.Context, r *Request) error

// Each is the rule that every call of op has the fault.
func Each(op Op, fault Fault) Rule {
	return func(c Call) Fault {
		if c.Op == op {
			return fault
		}
		return nil
	}
}

// Nth is the rule that call n of op, counted from 1, has the fault.
func Nth(op Op, n int, fault Fault) Rule {
	return func(c Call) Fault {
		if c.Op == op && c.N == n {
			return fault
		}
		return nil
	}
}

// Fail answers err; the store never sees the call.
func Fail(err error) Fault {
	return func(context.Context, *Request) error { return err }
}

// LoseAnswer carries the call out and answers err, whatever the store said.
func LoseAnswer(err error) Fault {
	return func(ctx context.Context, r *Request) error {
		_ = r.Do(ctx)
		r.body = nil
		return err
	}
}

// CutShort ends a Read after n right bytes with io.ErrUnexpectedEOF. A Read
// that gets no more than n bytes is left alone.
func CutShort(n int) Fault {
	return func(ctx context.Context, r *Request) error {
		err := r.Do(ctx)
		if err != nil || len(r.body) <= n {
			return err
		}
		clear(r.body[n:])
		r.body = r.body[:n]
		return io.ErrUnexpectedEOF
	}
}

// FlipBit changes one bit of the object's byte at off in every Read that
// covers it, and reports success.
func FlipBit(off int64) Fault {
	return func(ctx context.Context, r *Request) error {
		err := r.Do(ctx)
		if i := off - r.Off; 0 <= i && i < int64(len(r.body)) {
			r.body[i] ^= 1
		}
		return err
	}
}

// Cancel ends the call's own context while the call is under way, before or
// after the store has carried it out, and answers as a backend does then. The
// caller's context is left alone.
func Cancel(carriedOut bool) Fault {
	return func(ctx context.Context, r *Request) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if carriedOut {
			_ = r.Do(ctx)
			r.body = nil
		}
		cancel()
		return ctx.Err()
	}
}

// Gate holds calls until it is opened. It serves one Open.
type Gate struct {
	arrived chan Call
	opened  chan struct{}
}

// NewGate returns a closed gate.
func NewGate() *Gate {
	return &Gate{arrived: make(chan Call), opened: make(chan struct{})}
}

// Open lets go all calls, those held and those to come.
func (g *Gate) Open() { close(g.opened) }

// Arrived gives each call that the gate holds, once, in no order. Calls that
// pass the open gate may be missing.
func (g *Gate) Arrived() <-chan Call { return g.arrived }

// wait announces the call and blocks until the gate opens or ctx ends.
func (g *Gate) wait(ctx context.Context, c Call) error {
	arrived := g.arrived
	for {
		select {
		case arrived <- c:
			arrived = nil
		case <-g.opened:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Hold keeps the call from the store until the gate opens. A call whose
// context ends first is never carried out.
func Hold(g *Gate) Fault {
	return func(ctx context.Context, r *Request) error {
		if err := g.wait(ctx, r.Call); err != nil {
			return err
		}
		return r.Do(ctx)
	}
}

// HoldAnswer carries the call out and keeps the answer until the gate opens.
// The answer is lost when the context ends first.
func HoldAnswer(g *Gate) Fault {
	return func(ctx context.Context, r *Request) error {
		err := r.Do(ctx)
		if held := g.wait(ctx, r.Call); held != nil {
			r.body = nil
			return held
		}
		return err
	}
}
