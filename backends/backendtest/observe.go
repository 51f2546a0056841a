package backendtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"orthanc-bucketfs/backends"
)

// RunObserved proves that the observer of a cloud's bucket is told of every
// attempt, with its answer and the bytes of its body. open returns a bucket at
// the store at url, which makes one retry.
func RunObserved(t *testing.T, open func(url string, observe backends.Observer) (backends.Bucket, error)) {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer store.Close()
	var mu sync.Mutex
	var told []backends.Request
	b, err := open(store.URL, func(r backends.Request) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), "x", make([]byte, 1000)); err == nil {
		t.Error("a store that is not available has taken an object")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 2 {
		t.Fatalf("told of %d requests, want 2: %+v", len(told), told)
	}
	for i, r := range told {
		if r.Status != http.StatusServiceUnavailable || r.Sent < 1000 || r.Duration <= 0 || r.Err != nil || r.Retry != (i > 0) {
			t.Errorf("told %+v", r)
		}
	}
}
