package azure

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"orthanc-bucketfs/backends/internal/httpconn"
)

// tokens opens a bucket at storage with tokens from identity. Of all places
// where Azure's libraries look for credentials it leaves that of Cloud Shell,
// which alone asks with a body.
func tokens(t *testing.T, identity, storage http.HandlerFunc, change ...func(*Config)) *Bucket {
	t.Helper()
	id := httptest.NewServer(identity)
	t.Cleanup(id.Close)
	srv := httptest.NewTLSServer(storage)
	t.Cleanup(srv.Close)
	for _, name := range []string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_SECRET", "AZURE_CLIENT_ID"} {
		t.Setenv(name, "") // which takes care that it comes back
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
	t.Setenv("MSI_ENDPOINT", id.URL+"/token")
	cfg := DefaultConfig()
	cfg.AccountURL, cfg.Container, cfg.MaxRetries = srv.URL, "images", 0
	for _, f := range change {
		f(&cfg)
	}
	b := openAt(t, cfg, defaultSizes())
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	b.transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return b
}

func TestToken(t *testing.T) {
	body := random(1, 1000)
	var asked, stored atomic.Int32
	b := tokens(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		got, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, got) || !strings.Contains(string(got), "resource=") {
			t.Errorf("request for a token has the body %q", got)
		}
		w.Header().Set("Content-Type", "application/json")
		// So short a life keeps the SDK from using the token in another test.
		fmt.Fprintf(w, `{"access_token":"token-1","expires_in":"1","expires_on":"%d","resource":"https://storage.azure.com","token_type":"Bearer"}`,
			time.Now().Add(time.Second).Unix())
	}, func(w http.ResponseWriter, r *http.Request) {
		stored.Add(1)
		got, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer token-1" || !bytes.Equal(got, body) {
			t.Errorf("request to the service: %d bytes, authorization %q", len(got), r.Header.Get("Authorization"))
		}
		describeTo(w, "v")
		w.WriteHeader(http.StatusCreated)
	})
	for _, key := range []string{"x", "y"} {
		if _, err := b.Create(t.Context(), key, body); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() == 0 || stored.Load() != 2 {
		t.Errorf("%d requests for tokens, %d to the service", asked.Load(), stored.Load())
	}
}

func TestNoToken(t *testing.T) {
	for _, c := range []struct {
		status int
		want   error
	}{
		{400, fs.ErrPermission}, {401, fs.ErrPermission}, {403, fs.ErrPermission}, {404, nil}, {500, nil}, {503, nil},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			b := tokens(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				fmt.Fprint(w, `{"error":"e"}`)
			}, func(http.ResponseWriter, *http.Request) { t.Error("request without a token") })
			for call, err := range everyCall(t.Context(), b) {
				if c.want == nil {
					wantNone(t, call, err)
				} else {
					wantOnly(t, call, err, c.want)
				}
			}
		})
	}
}

// A machine's endpoint for identities that takes a request and stays silent holds
// no call longer than request_timeout.
func TestSilentIdentityEndpoint(t *testing.T) {
	b := tokens(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not hear of its client's end
		<-r.Context().Done()
	},
		func(http.ResponseWriter, *http.Request) { t.Error("request without a token") },
		func(cfg *Config) { cfg.RequestTimeout, cfg.MaxRetries = 1, 3 })
	for call, err := range everyCall(t.Context(), b) {
		if !errors.Is(err, httpconn.ErrStalled) {
			t.Errorf("%s: got error %v", call, err)
		}
	}
}
