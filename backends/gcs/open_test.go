package gcs

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestOpenRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.json")
	empty := filepath.Join(t.TempDir(), "empty.json")
	if err := os.WriteFile(empty, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	exposed, _ := account(t, "https://127.0.0.1:1")
	if err := os.Chmod(exposed, 0o644); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"bucket":             func(c *Config) { c.Bucket = "" },
		"connection_timeout": func(c *Config) { c.ConnectionTimeout = 0 },
		"request_timeout":    func(c *Config) { c.RequestTimeout = -1 },
		"max_connections":    func(c *Config) { c.MaxConnections = 0 },
		"max_retries":        func(c *Config) { c.MaxRetries = -1 },
		"no URL":             func(c *Config) { c.Endpoint = "storage.example.com:p4ss" },
		"scheme, host":       func(c *Config) { c.Endpoint = "https://user:p4ss@storage.example.com" },
		"port: remove":       func(c *Config) { c.Endpoint = "https://storage.example.com/p4ss" },
		"needs an https":     func(c *Config) { c.ServiceAccountFile = missing },
		"no such file":       func(c *Config) { c.ServiceAccountFile, c.Endpoint = missing, "" },
		"no key of a":        func(c *Config) { c.ServiceAccountFile, c.Endpoint = empty, "" },
		"mode 0644":          func(c *Config) { c.ServiceAccountFile, c.Endpoint = exposed, "" },
	} {
		cfg := testConfig("http://127.0.0.1:1")
		change(&cfg)
		b, err := Open(t.Context(), cfg)
		if err == nil {
			t.Errorf("%s: got %v", want, b)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "p4ss") {
			t.Errorf("%s: got error %v", want, err)
		}
	}
}

func TestString(t *testing.T) {
	cfg := testConfig("http://127.0.0.1:1/")
	if got := open(t, cfg).String(); got != "gcs bucket images at http://127.0.0.1:1" {
		t.Errorf("got %q", got)
	}
}

// TestEnvironment: the SDK would take its endpoint from there, and leave out
// authentication.
func TestEnvironment(t *testing.T) {
	t.Setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:1")
	f := newFake(t, object(7, 4), content(7, "body"), made("body"))
	b := f.open(0)
	for _, op := range []string{"stat", "read", "create"} {
		if err := ops(b)[op](t.Context()); err != nil {
			t.Error(err)
		}
	}
	f.used()
	for _, r := range f.seen {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s was sent with credentials over http", r.Method)
		}
	}
}

// account is the key file of a service account whose tokens come from url.
func account(t *testing.T, url string) (path, secret string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	secret = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "id", "private_key": secret,
		"client_email": "orthanc@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": url + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, secret
}

// openTLS returns a bucket at a service with TLS and a token server.
func openTLS(t *testing.T, service, token http.HandlerFunc) (b *Bucket, secret string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/token", token)
	mux.HandleFunc("/", service)
	s := httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	cfg := testConfig(s.URL)
	cfg.ServiceAccountFile, secret = account(t, s.URL)
	b = open(t, cfg)
	b.base.TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return b, secret
}

func TestServiceAccount(t *testing.T) {
	var tokens atomic.Int32
	var seen sync.Map
	b, secret := openTLS(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Method+r.URL.Path, r.Header.Get("Authorization"))
		if r.TLS.Version < tls.VersionTLS12 || r.ProtoMajor != 1 {
			t.Errorf("got TLS %x, HTTP %d", r.TLS.Version, r.ProtoMajor)
		}
		object(7, 4)(w, r)
	}, func(w http.ResponseWriter, r *http.Request) {
		tokens.Add(1)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}`)
	})
	for range 2 {
		if _, err := b.Stat(t.Context(), "x"); err != nil {
			t.Error(err)
		}
	}
	if got, _ := seen.Load("GET/storage/v1/b/images/o/x"); got != "Bearer t0ken" {
		t.Errorf("Authorization is %q", got)
	}
	if got := tokens.Load(); got != 1 {
		t.Errorf("got %d tokens, want 1", got)
	}
	if text := fmt.Sprintf("%v %+v %#v", b, b.cfg, b.cfg); strings.Contains(text, secret) || strings.Contains(text, "t0ken") {
		t.Errorf("printing tells a secret: %s", text)
	}
}

// TestDefaultCredentials finds a service account where Google's libraries look.
func TestDefaultCredentials(t *testing.T) {
	var tokens atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			tokens.Add(1)
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}`)
			return
		}
		if got := r.Header.Get("Authorization"); got != "Bearer t0ken" {
			t.Errorf("Authorization is %q", got)
		}
		object(7, 4)(w, r)
	}))
	t.Cleanup(s.Close)
	path, _ := account(t, s.URL)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
	b := open(t, testConfig(s.URL))
	b.base.TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := b.Stat(t.Context(), "x"); err != nil || tokens.Load() != 1 {
		t.Errorf("error %v, %d tokens", err, tokens.Load())
	}
}

// TestTokenRefused: a token server's 404 or 403 says nothing about an object.
func TestTokenRefused(t *testing.T) {
	for _, code := range []int{400, 403, 404, 412, 500} {
		b, secret := openTLS(t, func(http.ResponseWriter, *http.Request) {
			t.Error("a request was sent without a token")
		}, status(code, `{"error":"invalid_grant"}`))
		for op, call := range ops(b) {
			err := call(t.Context())
			wantMeaning(t, op, err, nil)
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: error tells the key", op)
			}
		}
	}
}

// A token server, or a machine's metadata server, that takes a request and stays
// silent holds no call longer than request_timeout.
func TestSilentTokenServer(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not hear of its client's end
		<-r.Context().Done()
	}
	metadata := httptest.NewServer(http.HandlerFunc(silent))
	t.Cleanup(metadata.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(metadata.URL, "http://"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	store := httptest.NewTLSServer(http.HandlerFunc(silent))
	t.Cleanup(store.Close)
	account, _ := account(t, store.URL)
	for _, file := range []string{account, ""} {
		cfg := testConfig(store.URL)
		cfg.ServiceAccountFile, cfg.RequestTimeout = file, 1
		b := open(t, cfg)
		b.base.TLSClientConfig.RootCAs = store.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		for op, call := range ops(b) {
			wantMeaning(t, op, call(t.Context()), nil)
		}
	}
}

func TestUntrusted(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	cfg := testConfig(s.URL)
	cfg.ServiceAccountFile, _ = account(t, s.URL)
	err := stat(t.Context(), open(t, cfg), "x")()
	wantMeaning(t, "stat", err, nil)
	if unknown := new(x509.UnknownAuthorityError); !errors.As(err, unknown) {
		t.Errorf("got error %v", err)
	}
}

// TestConnections counts the connections of more calls at one time than there
// may be connections.
func TestConnections(t *testing.T) {
	const most, calls = 2, 12
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(object(7, 4))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	cfg := testConfig(s.URL)
	cfg.MaxConnections = most
	b := open(t, cfg)
	for range 3 {
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				if _, err := b.Stat(t.Context(), "x"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if got := conns.Load(); got < 1 || got > most {
		t.Errorf("got %d connections, want at most %d, kept", got, most)
	}
}

// TestUnreachable: nobody listens at the endpoint.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	b := open(t, testConfig("http://"+l.Addr().String()))
	for op, call := range ops(b) {
		err := call(t.Context())
		wantMeaning(t, op, err, nil)
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: an outage is a missing object", op)
		}
	}
}
