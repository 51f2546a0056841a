package azure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"orthanc-bucketfs/backends"
)

// signature is the secret part of the fake account's shared access signature.
const signature = "SecretSignature0123456789"

// fake opens a bucket at a server that answers as it is told. It makes no
// second attempt at anything unless retries says so.
func fake(t testing.TB, retries int, answer http.HandlerFunc) *Bucket {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	return fakeAt(t, srv.URL, retries)
}

func fakeAt(t testing.TB, address string, retries int) *Bucket {
	t.Helper()
	cfg := fakeConfig(address)
	cfg.MaxRetries = retries
	return openAt(t, cfg, small())
}

func fakeConfig(address string) Config {
	cfg := DefaultConfig()
	cfg.ConnectionString = backends.NewSecret("BlobEndpoint=" + address + "/;SharedAccessSignature=sv=2026-01-01&sig=" + signature)
	cfg.Container = "images"
	return cfg
}

// refuse answers as the service does, with the code in the header and a body
// that shows what must not be shown.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("x-ms-request-id", "request-1")
	if code != "" {
		w.Header().Set("x-ms-error-code", code)
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><AuthenticationErrorDetail>sig=%s</AuthenticationErrorDetail></Error>", code, signature)
}

// describeTo sets the headers that describe an object.
func describeTo(w http.ResponseWriter, version string) {
	w.Header().Set("ETag", `"`+version+`"`)
	w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
}

// call is one call of a bucket.
type call struct {
	name string
	run  func(context.Context) error
}

// calls returns each call once: of one small object, and of one in blocks.
func calls(b *Bucket) []call {
	read := func(size int) func(context.Context) error {
		return func(ctx context.Context) error {
			_, _, err := b.Read(ctx, "x", "", make([]byte, size), 0)
			return err
		}
	}
	create := func(size int) func(context.Context) error {
		return func(ctx context.Context) error { _, err := b.Create(ctx, "x", make([]byte, size)); return err }
	}
	list := func(shallow bool) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := b.List(ctx, backends.ListOptions{Shallow: shallow})
			return err
		}
	}
	return []call{
		{"stat", func(ctx context.Context) error { _, err := b.Stat(ctx, "x"); return err }},
		{"read", read(10)},
		{"read of nothing", read(0)},
		{"create", create(100)},
		{"create in blocks", create(b.sizes.whole + 1)},
		{"delete", func(ctx context.Context) error { return b.Delete(ctx, "x", "") }},
		{"list", list(false)},
		{"shallow list", list(true)},
	}
}

// everyCall makes each call.
func everyCall(ctx context.Context, b *Bucket) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, c := range calls(b) {
			if !yield(c.name, c.run(ctx)) {
				return
			}
		}
	}
}

func sentinels() []error {
	return []error{
		fs.ErrExist, fs.ErrNotExist, fs.ErrPermission, backends.ErrChanged, backends.ErrInvalidKey,
		ErrArchived, context.Canceled, context.DeadlineExceeded,
	}
}

// wantOnly wants err to be want and none of the other sentinels.
func wantOnly(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
	for _, s := range sentinels() {
		if s != want && errors.Is(err, s) {
			t.Errorf("%s: error %v is %v", what, err, s)
		}
	}
}

// wantNone wants err to be an error and none of the sentinels.
func wantNone(t testing.TB, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
	}
	if slices.ContainsFunc(sentinels(), func(s error) bool { return errors.Is(err, s) }) {
		t.Errorf("%s: error %v is one of the sentinels", what, err)
	}
}
