package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const content = "the bytes of the object"

// server keeps the bodies it gets, and answers with the content.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.bodies = append(s.bodies, string(body))
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/octet-stream")
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, content)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies
}

// send makes one request on a connection of its own.
func send(ctx context.Context, method, url, body string) (status int, header http.Header, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, answer, err
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name     string
		fault    Fault
		method   string
		status   int
		body     string
		err      error
		received bool // by the server
	}{
		{"none", nil, "PUT", 200, "", nil, true},
		{"none", nil, "GET", 200, content, nil, true},
		{"refuse", Refuse(503, "1"), "PUT", 503, "", nil, false},
		{"reset before", ResetBefore, "PUT", 0, "", syscall.ECONNRESET, false},
		{"reset after", ResetAfter, "PUT", 0, "", syscall.ECONNRESET, false},
		{"lose answer", LoseAnswer, "PUT", 0, "", syscall.ECONNRESET, true},
		{"late", Late(time.Millisecond), "PUT", 0, "", syscall.ECONNRESET, true},
		{"delay", Delay(time.Millisecond), "GET", 200, content, nil, true},
		{"hang", Hang, "PUT", 0, "", context.Canceled, false},
		{"hang after", HangAfter, "PUT", 0, "", context.Canceled, true},
		{"cut answer", CutAnswer, "GET", 200, content[:len(content)/2], io.ErrUnexpectedEOF, true},
		{"cut empty answer", CutAnswer, "PUT", 0, "", syscall.ECONNRESET, true},
		{"damage", Damage, "GET", 200, "the bytes o\x67 the object", nil, true},
	} {
		t.Run(c.name+" "+c.method, func(t *testing.T) {
			s := newServer(t)
			p := New(t, s.URL)
			p.Inject(func(*http.Request) Fault { return c.fault })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if errors.Is(c.err, context.Canceled) {
				go func() {
					for p.Requests() == 0 || c.received && len(s.got()) == 0 {
						time.Sleep(time.Millisecond)
					}
					cancel()
				}()
			}
			status, header, body, err := send(ctx, c.method, p.URL, "sent")
			if status != c.status || !bytes.Equal(body, []byte(c.body)) || !errors.Is(err, c.err) {
				t.Errorf("got %d %q, error %v, want %d %q, error %v", status, body, err, c.status, c.body, c.err)
			}
			if want := map[bool]string{true: "1"}[status == 503]; header.Get("Retry-After") != want {
				t.Errorf("Retry-After is %q, want %q", header.Get("Retry-After"), want)
			}
			p.Wait()
			if got := s.got(); len(got) > 1 || (len(got) == 1) != c.received || c.received && got[0] != "sent" {
				t.Errorf("the server received %q, want something: %v", got, c.received)
			}
			if p.Requests() != 1 {
				t.Errorf("%d requests", p.Requests())
			}
		})
	}
}

func TestDown(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	p := New(t, server.URL)
	if resp, err := http.Get(p.URL); err != nil {
		t.Fatal(err)
	} else {
		resp.Body.Close()
	}
	p.Down()
	if _, err := http.Get(p.URL); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}
