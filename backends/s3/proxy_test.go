package s3

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// wire stands between a bucket and its store, and sees every request.
type wire struct {
	url string

	// around handles requests if it is set; next passes one on to the store.
	around func(w http.ResponseWriter, r *http.Request, next http.Handler)
	// response changes what the store answers if it is set.
	response func(*http.Response) error

	mu       sync.Mutex // guards all the above while requests come from elsewhere
	requests []string
}

func startWire(t *testing.T, store string) *wire {
	t.Helper()
	target, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	p := new(wire)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // signed
		},
		ModifyResponse: func(r *http.Response) error {
			p.mu.Lock()
			change := p.response
			p.mu.Unlock()
			if change == nil {
				return nil
			}
			return change(r)
		},
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, kind(r))
		around := p.around
		p.mu.Unlock()
		if around != nil {
			around(w, r, proxy)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	p.url = front.URL
	return p
}

// kind names a request by its method and the parameters that make the
// difference.
func kind(r *http.Request) string {
	name := r.Method
	for _, parameter := range []string{"list-type", "uploads", "partNumber", "uploadId"} {
		if r.URL.Query().Has(parameter) {
			return name + " " + parameter
		}
	}
	return name
}

// take returns the requests since the last call, sorted.
func (p *wire) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.requests
	p.requests = nil
	slices.Sort(taken)
	return taken
}
