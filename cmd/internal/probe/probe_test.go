package probe

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errIll = errors.New("ill")

// patient is a Probe whose questions are answered by hand.
type patient struct {
	*Probe
	answers chan error
	asked   atomic.Int32
}

func newPatient() *patient {
	p := &patient{answers: make(chan error)}
	p.Probe = New(func() error {
		p.asked.Add(1)
		return <-p.answers
	})
	return p
}

func (p *patient) checkFor(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.Check(ctx)
}

// However often a question is asked that is not answered, it is asked once, and
// nobody waits longer than he wants to.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		for range 10 {
			err := p.checkFor(5 * time.Second)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
		if err := p.checkFor(0); err == nil || !strings.Contains(err.Error(), "no answer for 50s") {
			t.Errorf("got %v", err)
		}
		if n := p.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		p.answers <- nil
		synctest.Wait()
		go func() { p.answers <- nil }()
		if err := p.checkFor(time.Second); err != nil || p.asked.Load() != 2 {
			t.Errorf("got %v after question %d", err, p.asked.Load())
		}
	})
}

func TestAnswerIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := p.checkFor(time.Minute); !errors.Is(err, errIll) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		p.answers <- errIll
		all.Wait()
		if n := p.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}
