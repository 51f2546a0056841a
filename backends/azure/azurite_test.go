package azure

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/backends/backendtest/server"
)

// at returns the configuration of a container at the server, made when it is
// missing, on the way through address.
func at(s server.AzureServer, address string) Config {
	cfg := DefaultConfig()
	cfg.ConnectionString = backends.NewSecret(s.ConnectionString(address))
	cfg.CreateContainer = true
	return cfg
}

// small makes blocks of what is a small body for the suite.
func small() sizes { return sizes{whole: 1 << 10, block: 512 << 10, retryDelay: time.Millisecond} }

func openAt(t testing.TB, cfg Config, sz sizes) *Bucket {
	t.Helper()
	b, err := open(t.Context(), cfg, sz)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// TestAzurite makes one server do for all tests that need a real one. Each has
// a container of its own.
func TestAzurite(t *testing.T) {
	s := server.Azurite(t)
	for _, test := range []struct {
		name string
		run  func(t *testing.T, w *wire, cfg Config)
	}{
		{"suite", suite},
		{"suite-in-blocks", suiteInBlocks},
		{"requests", requests},
		{"requests-of-large-objects", requestsOfLargeObjects},
		{"missing-container", missingContainer},
		{"wrong-key", wrongKey},
		{"access-tier", accessTier},
		{"damage-on-the-way", damageOnTheWay},
		{"blocks-of-failed-uploads", blocksOfFailedUploads},
		{"inspect", inspectContainer},
		{"inspect-missing-container", inspectMissingContainer},
		{"inspect-wrong-key", inspectWrongKey},
		{"inspect-public", inspectPublic},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWire(t, s.URL)
			cfg := at(s, w.URL)
			cfg.Container = test.name
			test.run(t, w, cfg)
		})
	}
}

func suite(t *testing.T, _ *wire, cfg Config) {
	b := openAt(t, cfg, defaultSizes())
	backendtest.Run(t, func(t *testing.T) backends.Bucket { return b })
}

// suiteInBlocks makes blocks of most of the suite's objects, which are few of
// them large enough for that.
func suiteInBlocks(t *testing.T, _ *wire, cfg Config) {
	b := openAt(t, cfg, small())
	backendtest.Run(t, func(t *testing.T) backends.Bucket { return b })
}

// wire counts and names the requests that pass it on their way to a server.
type wire struct {
	*httptest.Server
	proxy    *httputil.ReverseProxy
	mu       sync.Mutex // guards the fields below
	requests []string   // method, and what kind of request it is
	refused  string     // requests that are not let through
}

func newWire(t testing.TB, to string) *wire {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{proxy: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		name := r.Method
		if comp := r.URL.Query().Get("comp"); comp != "" {
			name += " " + comp
		}
		w.requests = append(w.requests, name)
		refused := name == w.refused
		w.mu.Unlock()
		if refused {
			refuse(rw, http.StatusForbidden, "AuthorizationFailure")
			return
		}
		w.proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

// taken returns the requests since the last call.
func (w *wire) taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	requests := w.requests
	w.requests = nil
	return requests
}

// refuse answers requests of the kind with 403 from here on.
func (w *wire) refuse(kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = kind
}
