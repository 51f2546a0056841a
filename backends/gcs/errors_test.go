package gcs

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
)

const (
	noSuchBucketXML = `<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist.</Message></Error>`
	deniedXML       = `<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message></Error>`
	emptyPage       = `{"kind":"storage#objects"}`
)

// ops calls every operation on the object x.
func ops(b *Bucket) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"stat":   func(ctx context.Context) error { return stat(ctx, b, "x")() },
		"create": func(ctx context.Context) error { return create(ctx, b, "x", []byte("body"))() },
		"delete": func(ctx context.Context) error { return remove(ctx, b, "x")() },
		"list":   func(ctx context.Context) error { return list(ctx, b, "x")() },
		"read": func(ctx context.Context) error {
			_, _, err := b.Read(ctx, "x", "", make([]byte, 10), 0)
			return err
		},
	}
}

func TestAnswers(t *testing.T) {
	noBucket := problem(404, "notFound", "The specified bucket does not exist.")
	page := status(200, emptyPage)
	none := error(nil)
	for _, c := range []struct {
		name  string
		ops   string
		steps []http.HandlerFunc
		want  error
	}{
		{"refusal", "stat create delete list", []http.HandlerFunc{problem(403, "forbidden", "no access")}, fs.ErrPermission},
		{"refusal", "read", []http.HandlerFunc{status(403, deniedXML)}, fs.ErrPermission},
		{"bad credentials", "stat read create delete list", []http.HandlerFunc{problem(401, "authError", "Invalid Credentials")}, fs.ErrPermission},
		{"too many requests as 403", "stat read create delete list", []http.HandlerFunc{problem(403, "rateLimitExceeded", "slow down")}, none},
		{"missing object", "stat", []http.HandlerFunc{status(404, noSuchObject)}, fs.ErrNotExist},
		{"missing object", "read", []http.HandlerFunc{status(404, noSuchKey)}, fs.ErrNotExist},
		{"missing bucket", "stat delete create list", []http.HandlerFunc{noBucket}, ErrNoBucket},
		{"missing bucket", "read", []http.HandlerFunc{status(404, noSuchBucketXML)}, ErrNoBucket},
		{"404 of who knows whom", "create", []http.HandlerFunc{status(404, "<html>not here</html>")}, none},
		{"404 of who knows whom", "stat read", []http.HandlerFunc{status(404, "<html>not here</html>"), page}, fs.ErrNotExist},
		{"404 that nobody explains", "stat read delete", []http.HandlerFunc{status(404, "Not Found"), status(500, "")}, none},
		{"404 of a bucket in few words", "stat read delete", []http.HandlerFunc{status(404, "Not Found"), status(404, "Not Found")}, ErrNoBucket},
		{"404 and no permission to list", "stat read delete", []http.HandlerFunc{status(404, "Not Found"), status(403, "")}, fs.ErrPermission},
		{"failed condition", "create", []http.HandlerFunc{problem(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")}, fs.ErrExist},
		{"conflict", "create", []http.HandlerFunc{problem(409, "conflict", "conflict")}, fs.ErrExist},
		{"conflict", "stat read delete list", []http.HandlerFunc{problem(409, "conflict", "conflict")}, none},
		{"failed condition", "delete", []http.HandlerFunc{problem(412, "conditionNotMet", "")}, backends.ErrChanged},
		{"failed condition", "stat list", []http.HandlerFunc{problem(412, "conditionNotMet", "")}, none},
		{"too many requests", "stat read create delete list", []http.HandlerFunc{status(429, "")}, none},
		{"unavailable", "stat read create delete list", []http.HandlerFunc{status(503, "")}, none},
		{"internal error", "stat read create delete list", []http.HandlerFunc{status(500, "<html>oops</html>")}, none},
		{"reset", "stat read create delete list", []http.HandlerFunc{reset}, none},
		{"end of the connection", "stat read create delete list", []http.HandlerFunc{hangUp}, none},
		{"redirect", "stat read create delete list", []http.HandlerFunc{redirect}, none},
		{"garbage", "stat create list", []http.HandlerFunc{status(200, "<html>hello</html>")}, none},
	} {
		for _, op := range strings.Fields(c.ops) {
			t.Run(c.name+", "+op, func(t *testing.T) {
				f := newFake(t, c.steps...)
				wantMeaning(t, op, ops(f.open(0))[op](t.Context()), c.want)
				f.used()
			})
		}
	}
}

func redirect(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
}

func TestDeleteOfMissing(t *testing.T) {
	f := newFake(t, status(404, noSuchObject), status(404, "Not Found"), status(200, emptyPage))
	b := f.open(0)
	for range 2 {
		if err := b.Delete(t.Context(), "x", ""); err != nil {
			t.Error(err)
		}
	}
	f.used()
}

// TestProven wants the bucket to be listed as long as nothing has succeeded in
// it, and again after it was reported missing.
func TestProven(t *testing.T) {
	gone, page := status(404, noSuchObject), status(200, emptyPage)
	noBucket := problem(404, "notFound", "The specified bucket does not exist.")
	f := newFake(t, gone, page, gone, noBucket, gone, page, noBucket, object(7, 4), gone)
	b := f.open(0)
	b.proven.Store(false)
	for i, want := range []error{
		fs.ErrNotExist, fs.ErrNotExist, ErrNoBucket, fs.ErrNotExist, ErrNoBucket, nil, fs.ErrNotExist,
	} {
		if err := stat(t.Context(), b, "x")(); !errors.Is(err, want) {
			t.Errorf("stat %d: got error %v, want %v", i, err, want)
		}
	}
	f.used()
}

func TestRetries(t *testing.T) {
	busy := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "1")
		status(http.StatusTooManyRequests, "")(w, r)
	}
	for op := range ops(nil) {
		if op == "delete" { // which is sent once
			continue
		}
		t.Run(op+" gives up", func(t *testing.T) {
			t.Parallel()
			f := newFake(t, reset, busy, status(503, ""))
			wantMeaning(t, op, ops(f.open(2))[op](t.Context()), nil)
			f.used()
		})
	}
	for op, last := range map[string]http.HandlerFunc{
		"stat": object(7, 4), "read": content(7, "body"), "create": made("body"),
		"list": status(200, emptyPage),
	} {
		t.Run(op+" succeeds", func(t *testing.T) {
			t.Parallel()
			f := newFake(t, reset, busy, last)
			if err := ops(f.open(2))[op](t.Context()); err != nil {
				t.Error(err)
			}
			f.used()
		})
	}
}

func TestDeadline(t *testing.T) {
	for op := range ops(nil) {
		f := newFake(t, hang)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := ops(f.open(3))[op](ctx)
		cancel()
		wantMeaning(t, op, err, nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got error %v", op, err)
		}
	}
}

// TestCancelled cancels each call when its request has arrived.
func TestCancelled(t *testing.T) {
	for op := range ops(nil) {
		ctx, cancel := context.WithCancel(t.Context())
		f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
			cancel()
			hang(w, r)
		})
		err := ops(f.open(3))[op](ctx)
		wantMeaning(t, op, err, nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v", op, err)
		}
	}
}

// TestCancelledInBackoff: the SDK then gives the last answer, not the
// context's error.
func TestCancelledInBackoff(t *testing.T) {
	for op := range ops(nil) {
		ctx, cancel := context.WithCancel(t.Context())
		f := newFake(t, status(503, ""))
		b := f.open(1)
		b.client.Transport = follower{answered{b.base, cancel}}
		if err := b.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := ops(b)[op](ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v", op, err)
		}
	}
}

// answered calls then when there is an answer.
type answered struct {
	next http.RoundTripper
	then func()
}

func (a answered) RoundTrip(req *http.Request) (*http.Response, error) {
	defer a.then()
	return a.next.RoundTrip(req)
}

// TestSilence: no byte comes for request_timeout, and no deadline is set.
func TestSilence(t *testing.T) {
	half := func(w http.ResponseWriter, r *http.Request) {
		contentHeaders(w, 7, "0123456789")
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("01234"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	f := newFake(t, half, hang)
	cfg := testConfig(f.url)
	cfg.RequestTimeout = 1
	b := open(t, cfg)
	n, _, err := b.Read(t.Context(), "x", "", make([]byte, 10), 0)
	wantMeaning(t, "read", err, nil)
	if n != 5 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, error %v", n, err)
	}
	wantMeaning(t, "stat", stat(t.Context(), b, "x")(), nil)
	f.used()
}

func TestRequestID(t *testing.T) {
	f := newFake(t, problem(403, "forbidden", "no access"))
	var e *backends.Error
	if err := stat(t.Context(), f.open(0), "x")(); !errors.As(err, &e) || e.RequestID != requestID {
		t.Errorf("got error %v", err)
	}
}

// TestForeign: what goes wrong below the service must not be taken for news
// about an object.
func TestForeign(t *testing.T) {
	for _, cause := range []error{
		syscall.ENOENT, syscall.EPERM, syscall.EEXIST, &fs.PathError{Op: "open", Path: "/token", Err: syscall.ENOENT},
	} {
		f := newFake(t)
		b := f.open(0)
		b.client.Transport = follower{failing{cause}}
		if err := b.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		for op, call := range ops(b) {
			wantMeaning(t, op, call(t.Context()), nil)
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }
