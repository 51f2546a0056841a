package gcs

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"orthanc-bucketfs/backends/internal/retry"
)

// bucketAt returns a bucket at a server that answers every request alike, with
// the given number of retries.
func bucketAt(t *testing.T, retries int, answer http.HandlerFunc) *Bucket {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	cfg := testConfig(s.URL)
	cfg.MaxRetries = retries
	return open(t, cfg)
}

// TestOutage counts the requests of many callers at a store that answers all
// of them with 503, then with success, and then with one 503 more.
func TestOutage(t *testing.T) {
	const callers = 64
	var requests, refusals atomic.Int32
	refusals.Store(1 << 30)
	b := bucketAt(t, 3, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if refusals.Add(-1) >= 0 {
			problem(503, "backendError", "down")(w, r)
			return
		}
		object(7, 4)(w, r)
	})
	var wg sync.WaitGroup
	for i := range callers {
		op := []string{"stat", "read", "create", "delete", "list"}[i%5]
		wg.Go(func() { wantMeaning(t, op, ops(b)[op](t.Context()), nil) })
	}
	wg.Wait()
	if got := requests.Load(); got != callers+retry.Most {
		t.Errorf("%d requests of %d callers, want %d", got, callers, callers+retry.Most)
	}

	refusals.Store(0)
	const enough = 20 // requests that earn a retry
	for range enough {
		if err := stat(t.Context(), b, "x")(); err != nil {
			t.Fatal(err)
		}
	}
	refusals.Store(1)
	requests.Store(0)
	if err := stat(t.Context(), b, "x")(); err != nil || requests.Load() != 2 {
		t.Errorf("after the outage: error %v after %d requests, want success after 2", err, requests.Load())
	}
}

// TestOutageInMidBody: to go on where a body broke off is a retry, too.
func TestOutageInMidBody(t *testing.T) {
	const callers = 64
	var requests atomic.Int32
	b := bucketAt(t, 3, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		cut(7, "0123456789", 0)(w, r)
	})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() { wantMeaning(t, "read", ops(b)["read"](t.Context()), nil) })
	}
	wg.Wait()
	// The head of each answer is a success that earns a little.
	if got, most := requests.Load(), int32(callers+2*retry.Most); got <= callers || got > most {
		t.Errorf("%d requests of %d callers, want at most %d", got, callers, most)
	}
}

// TestOutageSaysWhatIsWrong: what is left when the budget is spent is the
// error of the last request.
func TestOutageSaysWhatIsWrong(t *testing.T) {
	b := bucketAt(t, 3, reset)
	for b.budget.Take() {
	}
	err := stat(t.Context(), b, "x")()
	wantMeaning(t, "stat", err, nil)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got error %v, want %v", err, syscall.ECONNRESET)
	}
}
