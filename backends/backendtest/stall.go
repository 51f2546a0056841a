package backendtest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
)

// RunStalls proves that a cloud's bucket gives up each call for want of progress
// after one repetition of its request at most, a delete after none, and says of it nothing
// that a store has to say. open returns a bucket at the store at url, which makes retries and has a
// short request_timeout.
func RunStalls(t *testing.T, open func(url string) (backends.Bucket, error)) {
	for name, call := range map[string]func(context.Context, backends.Bucket) error{
		"stat": func(ctx context.Context, b backends.Bucket) error { _, err := b.Stat(ctx, "x"); return err },
		"read": func(ctx context.Context, b backends.Bucket) error {
			_, _, err := b.Read(ctx, "x", "", make([]byte, 10), 0)
			return err
		},
		"create": func(ctx context.Context, b backends.Bucket) error {
			_, err := b.Create(ctx, "x", make([]byte, 100))
			return err
		},
		"replace": func(ctx context.Context, b backends.Bucket) error {
			_, err := b.Replace(ctx, "x", "7", make([]byte, 100))
			return err
		},
		"delete": func(ctx context.Context, b backends.Bucket) error { return b.Delete(ctx, "x", "") },
		"list": func(ctx context.Context, b backends.Bucket) error {
			_, err := b.List(ctx, backends.ListOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stalls(t, name == "delete", call, open)
		})
	}
}

func stalls(t *testing.T, once bool, call func(context.Context, backends.Bucket) error, open func(url string) (backends.Bucket, error)) {
	var requests atomic.Int32
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		requests.Add(1)
		<-r.Context().Done()
	}))
	defer store.Close()
	b, err := open(store.URL)
	if err != nil {
		t.Fatal(err)
	}
	err = call(t.Context(), b)
	if err == nil || !once && !errors.Is(err, httpconn.ErrStalled) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want %v", err, httpconn.ErrStalled)
	}
	most := int32(2) // one, if the SDK pauses for too long between them
	if once {
		most = 1
	}
	if n := requests.Load(); n < 1 || n > most {
		t.Errorf("%d requests, want %d at most", n, most)
	}
}
