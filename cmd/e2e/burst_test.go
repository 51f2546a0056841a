package e2e_test

import (
	"context"
	"sync"
	"sync/atomic"

	"orthanc-bucketfs/cmd/internal/lab"
)

// burst is an endless upload by several clients.
type burst struct {
	p       *pacs
	next    atomic.Int64
	over    atomic.Bool   // set once the daemon is known to be gone
	acks    chan struct{} // one token for each acknowledgement
	clients sync.WaitGroup

	// Senders by C-STORE hang up when the daemon is gone. Orthanc would leave
	// them without an answer for a minute if it cannot even stat a file.
	scu    context.Context
	hangUp context.CancelFunc

	mu   sync.Mutex // guards sent
	sent []sent
}

// fate is what became of an instance that was sent.
type fate int

const (
	acknowledged fate = iota
	interrupted       // refused or unanswered; the daemon was alive when it was sent
	late              // refused or unanswered; the daemon was already gone
)

type sent struct {
	lab.Instance
	fate fate
	sum  string // MD5 of the file Orthanc must have; empty if it encodes it anew
}

// startBurst starts rest clients that use REST and scu clients that use
// C-STORE.
func startBurst(p *pacs, rest, scu int) *burst {
	b := &burst{p: p, acks: make(chan struct{}, 1<<20)}
	b.scu, b.hangUp = context.WithCancel(p.ctx)
	for range rest {
		b.clients.Go(func() { b.run(p.ctx, b.byREST) })
	}
	for range scu {
		b.clients.Go(func() { b.run(b.scu, b.byCStore) })
	}
	return b
}

// run sends until ctx ends, or until one was refused that was sent to a dead
// daemon.
func (b *burst) run(ctx context.Context, send func(*sent) bool) {
	for ctx.Err() == nil {
		missed := interrupted
		if b.over.Load() {
			missed = late
		}
		s := sent{Instance: b.instance()}
		if !send(&s) {
			s.fate = missed
		}
		b.mu.Lock()
		b.sent = append(b.sent, s)
		b.mu.Unlock()
		switch s.fate {
		case acknowledged:
			b.acks <- struct{}{}
		case late:
			return
		}
	}
}

// instance returns the next one: every eighth is large.
func (b *burst) instance() lab.Instance {
	n := int(b.next.Add(1))
	if n%8 == 0 {
		return large(n, 4<<20)
	}
	return shared.corpus[n%len(shared.corpus)].Variant(n)
}

func (b *burst) byREST(s *sent) bool {
	s.sum = lab.MD5(s.Data)
	_, err := b.p.orthanc.Upload(b.p.ctx, s.Data)
	return err == nil
}

func (b *burst) byCStore(s *sent) bool {
	ok, _, err := lab.CStore(b.scu, b.p.orthanc.DICOMPort, []lab.Instance{s.Instance})
	return err == nil && ok[0]
}

// refusals counts what was not acknowledged so far.
func (b *burst) refusals() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sent {
		if s.fate != acknowledged {
			n++
		}
	}
	return n
}

// awaitAcks returns after n more acknowledgements.
func (b *burst) awaitAcks(ctx context.Context, n int) error {
	for range n {
		select {
		case <-b.acks:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// end says that the daemon is gone, waits for all clients, and returns what
// they have sent.
func (b *burst) end() []sent {
	b.hangUp()
	b.over.Store(true)
	b.clients.Wait()
	return b.sent
}
