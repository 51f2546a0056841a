// Package wire stands between a backend and a real server, and does to their
// HTTP exchange what networks and overloaded services do. It is imported by
// tests only.
package wire

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// Proxy passes requests on to a server, except those that have a fault.
type Proxy struct {
	URL string

	store    http.Handler
	listener *httptest.Server

	mu       sync.Mutex                // guards the fields below
	choose   func(*http.Request) Fault // nil for no faults
	requests int                       // that have arrived
	active   int                       // that are not over, at the client or at the server
	idle     sync.Cond                 // active has become 0
}

// New starts a proxy before the server at the URL. It ends with the test.
func New(t testing.TB, server string) *Proxy {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
	p := &Proxy{store: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed, and upload sessions are to come through here
		},
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0), // clients that hang up are what it is for
	}}
	p.idle.L = &p.mu
	s := httptest.NewUnstartedServer(p)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	p.listener = s
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		p.Wait()
		transport.CloseIdleConnections()
	})
	p.URL = s.URL
	return p
}

// Inject makes choose decide which fault a request has; nil is none. It is
// called for one request at a time, in the order in which they arrive. Requests
// under way keep what they have.
func (p *Proxy) Inject(choose func(*http.Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.choose = choose
}

// Down closes the connections and listens no more: whoever comes is refused by
// the kernel.
func (p *Proxy) Down() {
	p.listener.Listener.Close()
	p.listener.CloseClientConnections()
}

// Requests returns how many requests have arrived.
func (p *Proxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// Wait returns when no request is under way, not even to the server for a
// client that has gone.
func (p *Proxy) Wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.active > 0 {
		p.idle.Wait()
	}
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := p.begin(r)
	defer p.end()
	if fault == nil {
		p.store.ServeHTTP(w, r)
		return
	}
	fault(w, r, p.store)
}

func (p *Proxy) begin(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	p.active++
	if p.choose == nil {
		return nil
	}
	return p.choose(r)
}

func (p *Proxy) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.active--; p.active == 0 {
		p.idle.Broadcast()
	}
}
