package gcs

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
)

// fake answers the requests of a bucket with one step each, for what no real
// server can be brought to answer.
type fake struct {
	t     *testing.T
	url   string
	mu    sync.Mutex
	steps []http.HandlerFunc
	seen  []*http.Request
}

func newFake(t *testing.T, steps ...http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{t: t, steps: steps}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, r)
	if len(f.steps) == 0 {
		f.mu.Unlock()
		f.t.Errorf("unexpected request %d: %s %s", len(f.seen), r.Method, r.URL)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	step := f.steps[0]
	f.steps = f.steps[1:]
	f.mu.Unlock()
	step(w, r)
}

// used reports steps that nobody asked for.
func (f *fake) used() {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.steps) > 0 {
		f.t.Errorf("%d requests are missing after %d", len(f.steps), len(f.seen))
	}
}

// open returns a bucket that is known to be there.
func (f *fake) open(retries int) *Bucket {
	f.t.Helper()
	cfg := testConfig(f.url)
	cfg.MaxRetries = retries
	b := open(f.t, cfg)
	b.proven.Store(true)
	return b
}

const requestID = "ABCD-request"

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Guploader-Uploadid", requestID)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// problem is an error as the JSON interface gives it.
func problem(code int, reason, message string) http.HandlerFunc {
	item := map[string]string{"domain": "global", "reason": reason, "message": message}
	body, _ := json.Marshal(map[string]any{"error": map[string]any{
		"code": code, "message": message, "errors": []any{item},
	}})
	return status(code, string(body))
}

// object is an object's metadata.
func object(generation, size int) http.HandlerFunc {
	return status(http.StatusOK, fmt.Sprintf(
		`{"name":"x","size":"%d","generation":"%d","timeCreated":"2026-01-02T03:04:05.678Z"}`, size, generation))
}

// content serves an object's bytes, as net/http does, with the service's own
// headers.
func content(generation int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		contentHeaders(w, generation, body)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	}
}

func contentHeaders(w http.ResponseWriter, generation int, body string) {
	w.Header().Set("X-Goog-Generation", fmt.Sprint(generation))
	w.Header().Set("X-Goog-Hash", "crc32c="+checksum([]byte(body)))
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Last-Modified", lastModified().Format(http.TimeFormat))
}

// cut promises the rest of body from the start of the range, and breaks off
// after n bytes.
func cut(generation int, body string, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var first, last int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err != nil {
			panic(err)
		}
		rest := body[first:]
		contentHeaders(w, generation, body)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(body)-1, len(body)))
		w.Header().Set("Content-Length", fmt.Sprint(len(rest)))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, rest[:n])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// reset ends the connection without an answer. It must be the first on its
// connection: on one that was in use before, net/http sends a GET again.
func reset(w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// hangUp closes the connection without an answer, in the ordinary way.
func hangUp(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.Close()
}

// hang answers when the client has gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// made is the answer to an upload of body.
func made(body string) http.HandlerFunc {
	return status(http.StatusOK, fmt.Sprintf(
		`{"name":"x","size":"%d","generation":"7","timeCreated":"2026-01-02T03:04:05Z","crc32c":"%s"}`,
		len(body), checksum([]byte(body))))
}

// session opens an upload session at the fake itself.
func session(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", "http://"+r.Host+"/upload/storage/v1/b/images/o?uploadType=resumable&upload_id=s3cret")
	w.Header().Set("X-Guploader-Uploadid", "s3cret")
}

// wantMeaning reports an error that is not want, or is another sentinel. A nil
// want is an error that says nothing about the object.
func wantMeaning(t *testing.T, what string, err, want error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: got no error", what)
	}
	for _, sentinel := range []error{
		fs.ErrExist, fs.ErrNotExist, fs.ErrPermission, backends.ErrChanged, backends.ErrInvalidKey, ErrNoBucket,
	} {
		if errors.Is(err, sentinel) != (sentinel == want) {
			t.Errorf("%s: got error %v, want %v", what, err, want)
		}
	}
	// io.EOF would be the end of the object.
	if errors.Is(err, io.EOF) {
		t.Errorf("%s: error %v is io.EOF", what, err)
	}
	var e *backends.Error
	if err != nil && !errors.As(err, &e) {
		t.Errorf("%s: error %v is no *backends.Error", what, err)
	}
}

func TestChecksum(t *testing.T) {
	// https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4: 32 bytes of zeroes.
	if sum := crc32.Checksum(make([]byte, 32), castagnoli()); sum != 0x8a9136aa {
		t.Errorf("got %x", sum)
	}
	if got := checksum(make([]byte, 32)); got != "ipE2qg==" {
		t.Errorf("got %q", got)
	}
}
