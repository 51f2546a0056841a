package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
)

// fake returns a bucket whose store is handle, and which makes no retries
// unless change says so.
func fake(t *testing.T, handle http.HandlerFunc, change func(*Config)) *Bucket {
	t.Helper()
	store := httptest.NewServer(handle)
	t.Cleanup(store.Close)
	cfg := testConfig(store.URL)
	if change != nil {
		change(&cfg)
	}
	return open(t, cfg)
}

func retries(n int) func(*Config) { return func(cfg *Config) { cfg.MaxRetries = n } }

// refuse answers as a store does that refuses.
func refuse(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Amz-Request-Id", "REQUEST-1")
		w.WriteHeader(status)
		if code != "" && r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>told so</Message></Error>", code)
		}
	}
}

// each lets the n-th request be handled by the n-th handler, and all further
// ones by the last.
func each(handlers ...http.HandlerFunc) http.HandlerFunc {
	queue := make(chan http.HandlerFunc, len(handlers))
	for _, h := range handlers {
		queue <- h
	}
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case h := <-queue:
			h(w, r)
		default:
			handlers[len(handlers)-1](w, r)
		}
	}
}

// counted counts the requests to h.
func counted(h http.HandlerFunc) (http.HandlerFunc, func() int) {
	requests := make(chan struct{}, 10_000)
	return func(w http.ResponseWriter, r *http.Request) {
		requests <- struct{}{}
		h(w, r)
	}, func() int { return len(requests) }
}

// calls are the methods of a bucket, by the names that errors have.
var calls = map[string]func(context.Context, *Bucket) error{
	"stat":   func(ctx context.Context, b *Bucket) error { _, err := b.Stat(ctx, "d/x"); return err },
	"delete": func(ctx context.Context, b *Bucket) error { return b.Delete(ctx, "d/x", "") },
	"create": func(ctx context.Context, b *Bucket) error {
		_, err := b.Create(ctx, "d/x", pattern(1000))
		return err
	},
	"read": func(ctx context.Context, b *Bucket) error {
		_, _, err := b.Read(ctx, "d/x", "v", make([]byte, 100), 0)
		return err
	},
	"list": func(ctx context.Context, b *Bucket) error {
		_, err := b.List(ctx, backends.ListOptions{Prefix: "d/x"})
		return err
	},
}

// wantOnly reports an error that is not want, or is a sentinel besides. With
// want nil it may be any error that is no sentinel.
func wantOnly(t *testing.T, err, want error) {
	t.Helper()
	t.Helper()
	if err == nil {
		t.Errorf("got no error, want %v", want)
		return
	}
	if want != nil && !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
	for _, sentinel := range []error{
		fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, backends.ErrChanged, backends.ErrInvalidKey,
		context.Canceled, context.DeadlineExceeded,
	} {
		if sentinel != want && errors.Is(err, sentinel) {
			t.Errorf("error %v is %v", err, sentinel)
		}
	}
	if strings.Contains(err.Error(), testSecret) {
		t.Errorf("error %v holds the secret key", err)
	}
}
