package hostile

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"orthanc-bucketfs/backends"
)

const (
	hang         = time.Minute
	mostTaken    = 48 << 20  // bytes that one call may take from the store
	mostHeld     = 320 << 20 // bytes that it may allocate, freed or not
	longestError = 4 << 10   // bytes
)

// Run makes every attack on every call of the bucket that open returns. It must
// make no retries.
func Run(t *testing.T, open func(t *testing.T, url string) backends.Bucket) {
	var visits atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, a := range attacks(elsewhere.URL) {
		t.Run(a.name, func(t *testing.T) {
			s := newServer(t, a.handle)
			for name, call := range calls(open(t, s.URL)) {
				s.attack(t, name, call)
			}
		})
	}
	if n := visits.Load(); n > 0 {
		t.Errorf("%d requests went where a redirect led", n)
	}
}

func calls(b backends.Bucket) map[string]func(context.Context) error {
	const key = "ab/cd/abcd0000-1111-4222-8333-444455556666"
	return map[string]func(context.Context) error{
		"stat":   func(ctx context.Context) error { _, err := b.Stat(ctx, key); return err },
		"list":   func(ctx context.Context) error { _, err := b.List(ctx, backends.ListOptions{}); return err },
		"delete": func(ctx context.Context) error { return b.Delete(ctx, key, "1") },
		"create": func(ctx context.Context) error { _, err := b.Create(ctx, key, make([]byte, 100)); return err },
		"read": func(ctx context.Context) error {
			_, _, err := b.Read(ctx, key, "", make([]byte, 100), 0)
			return err
		},
	}
}

// server counts what is taken from it.
type server struct {
	*httptest.Server
	sent   atomic.Int64
	method atomic.Value // of the last request
}

func newServer(t *testing.T, handle http.HandlerFunc) *server {
	s := new(server)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.method.Store(r.Method)
		handle(w, r)
	}))
	s.Listener = counting{s.Listener, &s.sent}
	s.Start()
	t.Cleanup(s.CloseClientConnections)
	return s
}

type counting struct {
	net.Listener
	sent *atomic.Int64
}

func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countedConn{conn, c.sent}, nil
}

type countedConn struct {
	net.Conn
	sent *atomic.Int64
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// attack makes one call. One that succeeds has understood nothing: only those
// whose answer has no body may do so.
func (s *server) attack(t *testing.T, name string, call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	sent := s.sent.Load()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := call(ctx)
	runtime.ReadMemStats(&after)
	if n := s.sent.Load() - sent; n > mostTaken {
		t.Errorf("%s: took %d bytes", name, n)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > mostHeld {
		t.Errorf("%s: allocated %d bytes", name, n)
	}
	switch {
	case ctx.Err() != nil:
		t.Errorf("%s: hung", name)
	case name == "list" && err == nil:
		t.Errorf("%s: took it for an answer", name)
	case errors.Is(err, fs.ErrNotExist) && s.method.Load() != http.MethodHead: // whose answer has nothing but a status
		t.Errorf("%s: took it for the absence of an object: %v", name, err)
	case err != nil:
		wantHarmless(t, name, err.Error())
	}
}

func wantHarmless(t *testing.T, name, text string) {
	t.Helper()
	if len(text) > longestError {
		t.Errorf("%s: the error has %d bytes: %s", name, len(text), text[:500])
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%s: the error has %q: %q", name, text[i:min(len(text), i+5)], text[:min(len(text), 500)])
	}
}
