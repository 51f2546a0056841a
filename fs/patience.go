package fs

import (
	"context"
	"sync"
	"time"
)

// dyingPoll is the time between two looks at an interrupted caller.
const dyingPoll = 100 * time.Millisecond

// untilDying returns a context that ends when ctx's caller is being killed, but
// not when it merely receives a signal: it may have been stopped and continued, and
// an error would reach a program that expects none. Of a caller that cannot be
// seen, it does not end before stop. It costs nothing until somebody waits on it.
func untilDying(ctx context.Context) *patientContext { return &patientContext{Context: ctx} }

type patientContext struct {
	context.Context

	mu     sync.Mutex // guards the fields below
	inner  context.Context
	cancel context.CancelFunc
}

func (p *patientContext) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start()
	return p.inner.Done()
}

func (p *patientContext) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inner == nil {
		return nil
	}
	return p.inner.Err()
}

// stop ends the watch, and the context.
func (p *patientContext) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inner == nil {
		p.inner, p.cancel = context.WithCancel(context.Background())
	}
	p.cancel()
}

func (p *patientContext) start() {
	if p.inner != nil {
		return
	}
	p.inner, p.cancel = context.WithCancel(context.WithoutCancel(p.Context))
	if tid := callerID(p.Context); tid != 0 {
		go watch(tid, p.Context.Done(), p.inner.Done(), p.cancel)
	}
}

// watch calls cancel when the thread is being killed after it was interrupted.
func watch(tid uint32, interrupted, ended <-chan struct{}, cancel func()) {
	select {
	case <-interrupted:
	case <-ended:
		return
	}
	for !dying(tid) {
		select {
		case <-time.After(dyingPoll):
		case <-ended:
			return
		}
	}
	cancel()
}
