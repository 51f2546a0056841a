package azure

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"orthanc-bucketfs/backends"
)

func TestAnswers(t *testing.T) {
	none := errors.New("none of the sentinels")
	for _, c := range []struct {
		status int
		code   string
		want   map[string]error // by call; "" for those not named; nil for success
	}{
		{403, "AuthenticationFailed", map[string]error{"": fs.ErrPermission}},
		{403, "AuthorizationFailure", map[string]error{"": fs.ErrPermission}},
		{403, "AuthorizationPermissionMismatch", map[string]error{"": fs.ErrPermission}},
		{403, "", map[string]error{"": fs.ErrPermission}},
		{401, "InvalidAuthenticationInfo", map[string]error{"": fs.ErrPermission}},
		{403, "UnauthorizedBlobOverwrite", map[string]error{"": fs.ErrPermission, "create": fs.ErrExist, "create in blocks": fs.ErrExist}},
		{404, "BlobNotFound", map[string]error{
			"": none, "stat": fs.ErrNotExist, "read": fs.ErrNotExist, "read of nothing": fs.ErrNotExist, "delete": nil,
		}},
		{404, "ContainerNotFound", map[string]error{"": none}},
		{404, "ResourceNotFound", map[string]error{"": none}},
		{404, "", map[string]error{"": none}},
		{409, "BlobAlreadyExists", map[string]error{"": none, "create": fs.ErrExist, "create in blocks": fs.ErrExist}},
		{409, "InvalidBlobType", map[string]error{"": none, "create": fs.ErrExist, "create in blocks": fs.ErrExist}},
		{409, "ContainerBeingDeleted", map[string]error{"": none}},
		{409, "SnapshotsPresent", map[string]error{"": none}},
		{409, "BlobArchived", map[string]error{"": ErrArchived, "create": fs.ErrExist, "create in blocks": fs.ErrExist}},
		{409, "BlobBeingRehydrated", map[string]error{"": ErrArchived, "create": fs.ErrExist, "create in blocks": fs.ErrExist}},
		{409, "BlobImmutableDueToPolicy", map[string]error{"": fs.ErrPermission, "create": fs.ErrExist, "create in blocks": fs.ErrExist}},
		{409, "", map[string]error{"": none}},
		{412, "ConditionNotMet", map[string]error{
			"": none, "create": fs.ErrExist, "create in blocks": fs.ErrExist, "read": backends.ErrChanged, "read of nothing": backends.ErrChanged,
			"delete": backends.ErrChanged,
		}},
		{400, "InvalidBlockList", map[string]error{"": none, "create": fs.ErrExist, "create in blocks": fs.ErrExist}},
		{400, "Md5Mismatch", map[string]error{"": none}},
		{429, "TooManyRequests", map[string]error{"": none}},
		{500, "InternalError", map[string]error{"": none}},
		{503, "ServerBusy", map[string]error{"": none}},
		{302, "", map[string]error{"": none}},
		{200, "", map[string]error{"": none, "delete": none}},
	} {
		b := fake(t, 0, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			refuse(w, c.status, c.code)
		})
		for call, err := range everyCall(t.Context(), b) {
			want, ok := c.want[call]
			if !ok {
				want = c.want[""]
			}
			what := call + " answered " + http.StatusText(c.status) + " " + c.code
			switch want {
			case nil:
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			case none:
				wantNone(t, what, err)
			default:
				wantOnly(t, what, err, want)
			}
			wantNoSecret(t, what, err)
			var e *backends.Error
			if err != nil && (!errors.As(err, &e) || e.RequestID != "request-1" && c.status != 200) {
				t.Errorf("%s: error %v does not tell the request id", what, err)
			}
		}
	}
}

func wantNoSecret(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), signature) {
		t.Errorf("%s: error shows the signature: %v", what, err)
	}
}

// TestChanged: the service says of a missing object, too, that its version is
// not the one asked for.
func TestChanged(t *testing.T) {
	for _, c := range []struct {
		name string
		head int
		code string
		want error
	}{
		{"another version", 200, "", backends.ErrChanged},
		{"no object", 404, "BlobNotFound", fs.ErrNotExist},
		{"no right to see", 403, "AuthorizationFailure", fs.ErrPermission},
	} {
		b := fake(t, 0, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("If-Match") == `"old"`:
				refuse(w, 412, "ConditionNotMet")
			case c.head == 200:
				describeTo(w, "new")
				w.Header().Set("Content-Length", "100")
			default:
				refuse(w, c.head, c.code)
			}
		})
		for _, p := range [][]byte{nil, make([]byte, 10)} {
			_, _, err := b.Read(t.Context(), "x", "old", p, 0)
			wantOnly(t, c.name, err, c.want)
		}
	}
}

func TestRetries(t *testing.T) {
	for _, retries := range []int{0, 2} {
		for _, status := range []int{408, 429, 500, 502, 503, 504} {
			var n atomic.Int32
			b := fake(t, retries, func(w http.ResponseWriter, r *http.Request) {
				n.Add(1)
				w.Header().Set("Retry-After-Ms", "1")
				refuse(w, status, "ServerBusy")
			})
			b.sizes.block = 1 << 20
			for call, err := range everyCall(t.Context(), b) {
				wantNone(t, call, err)
				want := int32(1 + retries)
				if call == "delete" {
					want = 1
				}
				if got := n.Swap(0); got != want {
					t.Errorf("%s answered %d: %d requests with %d retries", call, status, got, retries)
				}
			}
		}
	}
}

func TestRetryAfterLongPauseIsLeftToTheCaller(t *testing.T) {
	var n atomic.Int32
	b := fake(t, 3, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		w.Header().Set("Retry-After", "3600")
		refuse(w, 503, "ServerBusy")
	})
	_, err := b.Stat(t.Context(), "x")
	wantNone(t, "Stat", err)
	if n.Load() != 1 {
		t.Errorf("%d requests", n.Load())
	}
}

func TestRetrySucceeds(t *testing.T) {
	var n atomic.Int32
	body := random(1, 1000)
	b := fake(t, 1, func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		if !bytes.Equal(got, body) {
			t.Errorf("attempt %d: body of %d bytes is not the one given", n.Load(), len(got))
		}
		if n.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		describeTo(w, "v")
		w.WriteHeader(http.StatusCreated)
	})
	obj, err := b.Create(t.Context(), "x", body)
	if err != nil || obj.Version != "v" || n.Load() != 2 {
		t.Errorf("Create: %+v, error %v, %d requests", obj, err, n.Load())
	}
}

// TestRefusedRetry: the first attempt of an upload may have been taken.
func TestRefusedRetry(t *testing.T) {
	for _, last := range []string{"", "blocklist"} { // the request that stores the object
		for _, lost := range []bool{false, true} {
			var n atomic.Int32
			b := fake(t, 1, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Query().Get("comp") != last:
					w.WriteHeader(http.StatusCreated)
				case lost && n.Add(1) == 1:
					panic(http.ErrAbortHandler)
				default:
					refuse(w, 403, "AuthorizationFailure")
				}
			})
			size := 10
			if last != "" {
				size = b.sizes.whole + 1
			}
			_, err := b.Create(t.Context(), "x", make([]byte, size))
			if lost {
				wantNone(t, "Create refused at the second attempt", err)
			} else {
				wantOnly(t, "Create refused", err, fs.ErrPermission)
			}
		}
	}
}

func TestNoAnswer(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	for name, b := range map[string]*Bucket{
		"reset":   fake(t, 0, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"no host": fakeAt(t, srv.URL, 0),
	} {
		for call, err := range everyCall(t.Context(), b) {
			wantNone(t, call+", "+name, err)
			wantNoSecret(t, call+", "+name, err)
		}
	}
}

// TestHang answers no request before the test is over.
func TestHang(t *testing.T) {
	over := make(chan struct{})
	b := fake(t, 3, func(_ http.ResponseWriter, r *http.Request) { <-over })
	t.Cleanup(func() { close(over) })
	for _, c := range calls(b) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		wantOnly(t, c.name, c.run(ctx), context.DeadlineExceeded)
		cancel()
	}
}

// TestSilence has no deadline but the request timeout.
func TestSilence(t *testing.T) {
	over := make(chan struct{})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(over) }) })
	for _, answer := range []http.HandlerFunc{
		func(http.ResponseWriter, *http.Request) { <-over },
		func(w http.ResponseWriter, r *http.Request) {
			describeTo(w, "v")
			w.Header().Set("Content-Range", "bytes 0-99/100")
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusPartialContent)
			_ = http.NewResponseController(w).Flush()
			<-over
		},
	} {
		srv := httptest.NewServer(answer)
		t.Cleanup(func() { once.Do(func() { close(over) }); srv.Close() })
		cfg := DefaultConfig()
		cfg.ConnectionString = backends.NewSecret("BlobEndpoint=" + srv.URL + "/;SharedAccessSignature=sig=" + signature)
		cfg.Container = "images"
		cfg.MaxRetries = 0
		cfg.RequestTimeout = 1
		b := openAt(t, cfg, small())
		_, _, err := b.Read(t.Context(), "x", "", make([]byte, 100), 0)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Read from a server that says nothing: %v", err)
		}
	}
}

// TestForeignErrors: what fails on this machine says nothing about the object.
func TestForeignErrors(t *testing.T) {
	b := &Bucket{}
	for _, err := range []error{
		&fs.PathError{Op: "open", Path: "/var/run/token", Err: syscall.ENOENT},
		os.NewSyscallError("connect", syscall.EPERM),
		os.NewSyscallError("connect", syscall.EACCES),
		os.NewSyscallError("socket", syscall.EEXIST),
		&azidentity.AuthenticationFailedError{},
		&azidentity.AuthenticationFailedError{RawResponse: &http.Response{StatusCode: 500}},
		&azidentity.AuthenticationFailedError{RawResponse: &http.Response{StatusCode: 404}},
	} {
		wantNone(t, "translated", b.translate(t.Context(), "read", err))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	wantOnly(t, "broken off as the context ended", b.translate(ended, "read", io.ErrUnexpectedEOF), context.Canceled)
	refusal := &azidentity.AuthenticationFailedError{RawResponse: &http.Response{StatusCode: 401}}
	wantOnly(t, "token refused", b.translate(t.Context(), "read", refusal), fs.ErrPermission)
}
