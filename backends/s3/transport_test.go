package s3

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// deadlineRecorder records that a deadline was set before each read and write.
type deadlineRecorder struct {
	net.Conn
	set  int
	last time.Time
}

func (c *deadlineRecorder) SetDeadline(t time.Time) error { c.set++; c.last = t; return nil }
func (c *deadlineRecorder) Read(p []byte) (int, error)    { return len(p), nil }
func (c *deadlineRecorder) Write(p []byte) (int, error)   { return len(p), nil }

// A transfer of any length lives as long as bytes go.
func TestEveryByteExtendsTheDeadline(t *testing.T) {
	inner := new(deadlineRecorder)
	conn := &idleConn{inner, time.Hour}
	for i := range 10 {
		before := time.Now()
		if i%2 == 0 {
			_, _ = conn.Read(make([]byte, 1))
		} else {
			_, _ = conn.Write(make([]byte, 1))
		}
		if inner.set != i+1 || inner.last.Before(before.Add(time.Hour)) || inner.last.After(time.Now().Add(time.Hour)) {
			t.Fatalf("after %d transfers: deadline set %d times, to %v", i+1, inner.set, inner.last)
		}
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	const limit, callers = 2, 8
	var connections, inFlight atomic.Int32
	full := make(chan struct{})
	store := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if inFlight.Add(1) == limit {
			close(full)
		}
		<-full // so that the first requests need connections of their own
	}))
	store.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	store.Start()
	t.Cleanup(store.Close)
	cfg := testConfig(store.URL)
	cfg.MaxConnections = limit
	b := open(t, cfg)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() { _ = calls["stat"](t.Context(), b) })
	}
	wg.Wait()
	if n := connections.Load(); n != limit {
		t.Errorf("%d connections were made, want %d", n, limit)
	}
	if n := inFlight.Load(); n != callers {
		t.Errorf("%d requests arrived, want %d", n, callers)
	}
}
