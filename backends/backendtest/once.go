package backendtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"orthanc-bucketfs/backends"
)

// RunDeletesOnce proves that a cloud's bucket sends one DELETE and no other,
// whatever becomes of it, and says of none that was not answered that the
// object is gone, or another. open returns a bucket at the store at url, which
// makes retries.
func RunDeletesOnce(t *testing.T, open func(url string) (backends.Bucket, error)) {
	outcomes := map[string]http.HandlerFunc{"no answer": hangUp}
	for _, status := range []int{
		http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	} {
		outcomes[fmt.Sprint(status)] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	for name, outcome := range outcomes {
		for _, version := range []string{"", "7"} {
			t.Run(name+" to version "+version, func(t *testing.T) { deletesOnce(t, outcome, version, open) })
		}
	}
}

// deletesOnce sends the DELETE over a connection that was in use before, over
// which net/http may send a request again.
func deletesOnce(t *testing.T, outcome http.HandlerFunc, version string, open func(url string) (backends.Bucket, error)) {
	var deletes atomic.Int32
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		deletes.Add(1)
		outcome(w, r)
	}))
	defer store.Close()
	b, err := open(store.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stat(t.Context(), "x"); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("Stat: %v", err)
	}
	err = b.Delete(t.Context(), "x", version)
	if n := deletes.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if err == nil {
		t.Error("success without an answer")
	}
	for _, sentinel := range []error{
		fs.ErrNotExist, fs.ErrPermission, backends.ErrChanged, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, sentinel) {
			t.Errorf("error %v is %v", err, sentinel)
		}
	}
}

// hangUp closes the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
