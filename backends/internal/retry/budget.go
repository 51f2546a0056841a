// Package retry bounds what a backend sends again, over all calls of a bucket
// together, so that an outage does not become a storm of requests. How often
// one request is sent again, and after what pause, is the SDKs' business.
package retry

import "sync"

// The numbers are those of the AWS SDK, which has such a budget of its own.
const (
	capacity = 500 // tokens
	price    = 14  // of one retry
	wage     = 1   // for a request that succeeds at once
)

// Most is how many retries a full budget allows.
const Most = capacity / price

// Budget is what a bucket may spend on retries. It may be used concurrently.
type Budget struct {
	mu    sync.Mutex // guards spent
	spent int        // tokens
}

// Take takes the price of one retry, and reports whether it was there.
func (b *Budget) Take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent+price > capacity {
		return false
	}
	b.spent += price
	return true
}

// Succeeded gives back what a retry has cost when it succeeds, and a little for
// every other request that does.
func (b *Budget) Succeeded(retry bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	earned := wage
	if retry {
		earned = price
	}
	b.spent = max(0, b.spent-earned)
}
