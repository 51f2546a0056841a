package s3

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

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
