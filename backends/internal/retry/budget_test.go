package retry

import (
	"sync"
	"sync/atomic"
	"testing"
)

// take returns how many of n retries are allowed.
func take(b *Budget, n int) int {
	var allowed atomic.Int32
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if b.Take() {
				allowed.Add(1)
			}
		})
	}
	wg.Wait()
	return int(allowed.Load())
}

func TestBudget(t *testing.T) {
	b := new(Budget)
	if got := take(b, 100); got != Most {
		t.Errorf("a full budget allows %d retries, want %d", got, Most)
	}
	b.Succeeded(true)
	if got := take(b, 10); got != 1 {
		t.Errorf("a retry that succeeds pays for %d, want 1", got)
	}
	for range 3 * price {
		b.Succeeded(false)
	}
	if got := take(b, 10); got != 3 {
		t.Errorf("%d requests that succeed at once pay for %d retries, want 3", 3*price, got)
	}
}

// What is earned while nothing was spent is not kept.
func TestBudgetIsBounded(t *testing.T) {
	b := new(Budget)
	for range 10 * capacity {
		b.Succeeded(true)
	}
	if got := take(b, 100); got != Most {
		t.Errorf("got %d retries, want %d", got, Most)
	}
}
