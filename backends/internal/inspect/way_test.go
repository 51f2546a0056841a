package inspect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
)

func newTransport() *http.Transport {
	return httpconn.NewTransport(httpconn.NewPool(httpconn.Limits{Connect: 10 * time.Second, Idle: 10 * time.Second, Connections: 10}))
}

// secure serves h over TLS with a certificate of its own making for 127.0.0.1,
// and returns its address and the pool that trusts it.
func secure(t *testing.T, h http.HandlerFunc, notBefore, notAfter time.Time) (*url.URL, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: notBefore, NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return parse(t, s.URL), pool
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// state is how a finding is printed.
func state(f backends.Finding) string {
	switch {
	case f.Err != nil:
		return "FAIL"
	case f.Skipped != "":
		return "skip"
	case f.Warning != "":
		return "WARN"
	}
	return "ok"
}

func states(findings []backends.Finding) string {
	var words []string
	for _, f := range findings {
		words = append(words, state(f))
	}
	return strings.Join(words, " ")
}

// text is all that a finding says.
func text(findings []backends.Finding) string {
	var words []string
	for _, f := range findings {
		words = append(words, f.Detail, f.Warning)
		if f.Err != nil {
			words = append(words, f.Err.Error())
		}
	}
	return strings.Join(words, "\n")
}

func want(t *testing.T, findings []backends.Finding, wanted string, mentioned ...string) {
	t.Helper()
	if got := states(findings); got != wanted {
		t.Errorf("got %s, want %s:\n%s", got, wanted, text(findings))
	}
	for _, word := range mentioned {
		if !strings.Contains(text(findings), word) {
			t.Errorf("%q is not mentioned:\n%s", word, text(findings))
		}
	}
}

func refuse(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }

func TestWay(t *testing.T) {
	now := time.Now()
	plain := httptest.NewServer(http.HandlerFunc(refuse))
	t.Cleanup(plain.Close)
	address, pool := secure(t, refuse, now.Add(-time.Hour), now.Add(90*day))
	expired, expiredPool := secure(t, refuse, now.Add(-2*day), now.Add(-day))
	ending, endingPool := secure(t, refuse, now.Add(-80*day), now.Add(10*day))
	closed := httptest.NewServer(http.HandlerFunc(refuse))
	closed.Close()
	silent, silentPool := secure(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, now.Add(-time.Hour), now.Add(90*day))
	otherName := *address
	otherName.Host = "localhost:" + address.Port()
	tlsOnHTTP := parse(t, strings.Replace(plain.URL, "http:", "https:", 1))
	for name, test := range map[string]struct {
		url   *url.URL
		pool  *x509.CertPool
		want  string
		words []string
	}{
		"http":              {parse(t, plain.URL), nil, "ok ok ok ok", []string{"127.0.0.1 is an address", "to 127.0.0.1:", "none, for http"}},
		"https":             {address, pool, "ok ok ok ok", []string{"89 days"}},
		"no such name":      {parse(t, "https://store.invalid"), nil, "FAIL skip skip skip", []string{"store.invalid cannot be resolved", "correct the name"}},
		"port closed":       {parse(t, closed.URL), nil, "ok FAIL skip skip", []string{"connection refused", "check address and port"}},
		"unknown authority": {address, nil, "ok ok FAIL skip", []string{"unknown authority", "update-ca-certificates"}},
		"expired":           {expired, expiredPool, "ok ok FAIL skip", []string{"expired", "renew the store's certificate"}},
		"ends soon":         {ending, endingPool, "ok ok WARN ok", []string{"9 days from now", "have it renewed"}},
		"other name":        {&otherName, pool, "ok ok FAIL skip", []string{"localhost", "correct the address"}},
		"no TLS there":      {tlsOnHTTP, nil, "ok ok FAIL skip", []string{"there is no TLS"}},
		"no answer":         {silent, silentPool, "ok ok ok FAIL", []string{"does not answer"}},
	} {
		t.Run(name, func(t *testing.T) {
			transport := newTransport()
			transport.TLSClientConfig.RootCAs = test.pool
			if test.pool == nil {
				transport.TLSClientConfig.RootCAs = x509.NewCertPool()
			}
			want(t, Run(t.Context(), Way{URL: test.url, Transport: transport}.Steps()...), test.want, test.words...)
		})
	}
}

// With a proxy, name and connection are the proxy's, and TLS goes through it.
func TestWayThroughProxy(t *testing.T) {
	now := time.Now()
	address, pool := secure(t, refuse, now.Add(-time.Hour), now.Add(90*day))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("the proxy got %s %s", r.Method, r.URL)
		}
		tunnel(t, w, r.Host)
	}))
	t.Cleanup(proxy.Close)
	transport := newTransport()
	transport.Proxy = http.ProxyURL(parse(t, proxy.URL))
	transport.TLSClientConfig.RootCAs = pool
	want(t, Run(t.Context(), Way{URL: address, Transport: transport}.Steps()...), "ok ok ok ok", "the proxy on the way", "to "+parse(t, proxy.URL).Host)
}

func TestPlainHTTPElsewhereIsAWarning(t *testing.T) {
	found := Way{URL: parse(t, "http://store.example"), Transport: newTransport()}.tls(t.Context())
	want(t, []backends.Finding{found}, "WARN", "use an https endpoint")
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC)
	const limit = 15 * time.Minute
	for _, test := range []struct {
		ahead time.Duration // of this machine
		limit time.Duration
		want  string
		words string
	}{
		{0, limit, "ok", "0s"},
		{29 * time.Second, limit, "ok", "29s"},
		{-29 * time.Second, limit, "ok", "29s"},
		{30 * time.Second, limit, "WARN", "30s ahead of"},
		{-40 * time.Second, limit, "WARN", "40s behind"},
		{limit, limit, "FAIL", "15m0s ahead of"},
		{-2 * limit, limit, "FAIL", "30m0s behind"},
		{time.Hour, 0, "WARN", "1h0m0s ahead of"},
	} {
		date := now.Add(-test.ahead).Format(http.TimeFormat)
		found := compareClocks(date, now.Add(-time.Second), now.Add(time.Second), test.limit)
		want(t, []backends.Finding{found}, test.want, test.words)
	}
	want(t, []backends.Finding{compareClocks("", now, now, limit)}, "WARN", "does not tell the time")
}
