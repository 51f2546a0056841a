package azure

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"orthanc-bucketfs/backends/internal/retry"
)

// TestOutage counts the requests of many callers at a store that answers all
// of them with 503, then with success, and then with one 503 more.
func TestOutage(t *testing.T) {
	const callers, retries = 64, 3
	var requests, refusals atomic.Int32
	refusals.Store(1 << 30)
	b := fake(t, retries, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if refusals.Add(-1) >= 0 {
			refuse(w, http.StatusServiceUnavailable, "ServerBusy")
			return
		}
		describeTo(w, "v")
		w.Header().Set("Content-Length", "0")
	})
	ops := calls(b)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			// Of a few blocks at one time, how many are sent depends on when the first
			// fails. A delete is sent once.
			if c := ops[i%len(ops)]; c.name == "create in blocks" || c.name == "delete" {
				wantNone(t, "stat", ops[0].run(t.Context()))
			} else {
				wantNone(t, c.name, c.run(t.Context()))
			}
		})
	}
	wg.Wait()
	if got := requests.Load(); got != callers+retry.Most {
		t.Errorf("%d requests of %d callers, want %d", got, callers, callers+retry.Most)
	}

	refusals.Store(0)
	const enough = 20 // requests that earn a retry
	for range enough {
		if err := ops[0].run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	refusals.Store(1)
	requests.Store(0)
	if err := ops[0].run(t.Context()); err != nil || requests.Load() != 2 {
		t.Errorf("after the outage: error %v after %d requests, want success after 2", err, requests.Load())
	}
}

// TestOutageInMidBody: to go on where a body broke off is a retry, too.
func TestOutageInMidBody(t *testing.T) {
	const callers, retries = 64, 3
	var requests atomic.Int32
	b := fake(t, retries, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		describeTo(w, "v")
		w.Header().Set("Content-Range", "bytes 0-99/100")
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusPartialContent)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			_, _, err := b.Read(t.Context(), "x", "", make([]byte, 100), 0)
			wantNone(t, "read", err)
		})
	}
	wg.Wait()
	// The head of each answer is a success that earns a little.
	if got, most := requests.Load(), int32(callers+2*retry.Most); got <= callers || got > most {
		t.Errorf("%d requests of %d callers, want at most %d", got, callers, most)
	}
}
