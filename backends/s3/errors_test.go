package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
)

func TestRefusals(t *testing.T) {
	type want map[string]error
	for _, c := range []struct {
		status int
		code   string
		want   want // of calls whose error is a sentinel
	}{
		{400, "InvalidRequest", nil},
		{400, "ExpiredToken", nil},
		{301, "PermanentRedirect", nil},
		{401, "", want{"stat": fs.ErrPermission, "read": fs.ErrPermission, "create": fs.ErrPermission, "delete": fs.ErrPermission, "list": fs.ErrPermission}},
		{403, "AccessDenied", want{"stat": fs.ErrPermission, "read": fs.ErrPermission, "create": fs.ErrPermission, "delete": fs.ErrPermission, "list": fs.ErrPermission}},
		{403, "InvalidObjectState", want{"read": ErrArchived, "stat": fs.ErrPermission, "create": ErrArchived, "delete": ErrArchived, "list": ErrArchived}},
		{404, "NoSuchKey", want{"stat": fs.ErrNotExist, "read": fs.ErrNotExist}},
		{404, "NoSuchBucket", want{"stat": fs.ErrNotExist}},
		{404, "NoSuchUpload", want{"stat": fs.ErrNotExist}},
		{404, "", want{"stat": fs.ErrNotExist}},
		{405, "MethodNotAllowed", nil},
		{409, "ConditionalRequestConflict", nil},
		{412, "PreconditionFailed", want{"create": fs.ErrExist, "read": backends.ErrChanged, "delete": backends.ErrChanged}},
		{429, "TooManyRequests", nil},
		{500, "InternalError", nil},
		{501, "NotImplemented", nil},
		{503, "SlowDown", nil},
	} {
		b := fake(t, refuse(c.status, c.code), nil)
		for op, call := range calls {
			t.Run(fmt.Sprintf("%d %s %s", c.status, c.code, op), func(t *testing.T) {
				err := call(t.Context(), b)
				if op == "delete" && c.status == 404 && c.code == "NoSuchKey" {
					if err != nil {
						t.Errorf("Delete: %v", err)
					}
					return
				}
				wantOnly(t, err, c.want[op])
				e, ok := errors.AsType[*backends.Error](err)
				if !ok || e.Op != op || e.Key != "d/x" || e.RequestID != "REQUEST-1" {
					t.Errorf("got %+v", e)
				}
			})
		}
	}
}

// A proxy that knows nothing of the bucket must not make objects vanish.
func TestForeignNotFound(t *testing.T) {
	b := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("<html><body>no such page</body></html>"))
	}, nil)
	for op, call := range calls {
		if op != "stat" {
			wantOnly(t, call(t.Context(), b), nil)
		}
	}
}

func reset(w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

func TestNoAnswer(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, b := range map[string]*Bucket{
		"reset":   fake(t, reset, nil),
		"refused": open(t, testConfig(closed.URL)),
	} {
		for op, call := range calls {
			t.Run(name+" "+op, func(t *testing.T) { wantOnly(t, call(t.Context(), b), nil) })
		}
	}
}

// hang answers nothing until the test ends or the caller goes.
func hang(t *testing.T) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}
}

func TestDeadline(t *testing.T) {
	b := fake(t, hang(t), retries(3))
	for op, call := range calls {
		t.Run(op, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			wantOnly(t, call(ctx, b), context.DeadlineExceeded)
		})
	}
}

func TestRequestTimeout(t *testing.T) {
	b := fake(t, hang(t), func(cfg *Config) { cfg.RequestTimeout = 1 })
	wantOnly(t, calls["stat"](t.Context(), b), nil)
}

func TestRetries(t *testing.T) {
	for _, c := range []struct {
		op     string
		status int
		code   string
		want   int // requests
	}{
		{"stat", 503, "SlowDown", 2},
		{"read", 503, "SlowDown", 2},
		{"create", 429, "TooManyRequests", 2},
		{"create", 500, "InternalError", 2},
		{"create", 409, "ConditionalRequestConflict", 2},
		{"create", 409, "OperationAborted", 2},
		{"create", 409, "ExistingObjectIsDirectory", 2},
		{"delete", 502, "", 1},
		{"list", 504, "", 2},
		{"create", 412, "PreconditionFailed", 1},
		{"create", 403, "AccessDenied", 1},
		{"read", 404, "NoSuchKey", 1},
	} {
		t.Run(fmt.Sprintf("%s %d", c.op, c.status), func(t *testing.T) {
			handle, requests := counted(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "1")
				refuse(c.status, c.code)(w, r)
			})
			b := fake(t, handle, retries(1))
			if err := calls[c.op](t.Context(), b); err == nil {
				t.Error("got no error")
			} else if c.want > 1 {
				wantOnly(t, err, nil)
			}
			if n := requests(); n != c.want {
				t.Errorf("got %d requests, want %d", n, c.want)
			}
		})
	}
}

// The first request may have stored the object although the second was
// refused.
func TestRefusalOfRetry(t *testing.T) {
	b := fake(t, each(reset, refuse(403, "AccessDenied")), retries(1))
	wantOnly(t, calls["create"](t.Context(), b), nil)
}

// All calls share one allowance for retries.
func TestRetryAllowance(t *testing.T) {
	const callers, most = 60, 500 / 14 // tokens in the SDK's bucket, and the price of a retry
	handle, requests := counted(refuse(500, "InternalError"))
	b := fake(t, handle, retries(1))
	done := make(chan struct{})
	for range callers {
		go func() {
			_ = calls["stat"](t.Context(), b)
			done <- struct{}{}
		}()
	}
	for range callers {
		<-done
	}
	if n := requests(); n != callers+most {
		t.Errorf("got %d requests, want %d", n, callers+most)
	}
}

// What fails before a request is sent is no answer about an object.
func TestForeignErrors(t *testing.T) {
	for _, err := range []error{
		&net.DNSError{Err: "no such host", Name: "s3.example.com", IsNotFound: true},
		&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)},
		&fs.PathError{Op: "open", Path: "/etc/resolv.conf", Err: syscall.ENOENT},
		fmt.Errorf("get credentials: %w", os.ErrNotExist),
		fmt.Errorf("cache: %w", os.ErrExist),
	} {
		for op := range calls {
			wantOnly(t, failure(t.Context(), op, "d/x", err), nil)
		}
	}
}
