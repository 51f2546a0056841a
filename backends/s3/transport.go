package s3

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
)

// newHTTPClient returns the client for requests to the store. It speaks
// HTTP/1.1 alone: several transfers get several connections. The transport is
// like the client's.
func newHTTPClient(cfg Config, pool *httpconn.Pool, observe []backends.Observer) (aws.HTTPClient, *http.Transport, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CACertificates != "" {
		pool, err := readCertificates(cfg.CACertificates, cfg.ReadFile)
		if err != nil {
			return nil, nil, err
		}
		tlsConfig.RootCAs = pool
	}
	limits := httpconn.For(cfg.Limits)
	client := awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.Proxy = httpconn.Proxy
		tr.DialContext = pool.Dial
		tr.TLSClientConfig = tlsConfig
		tr.TLSHandshakeTimeout = limits.Connect
		// Less than the connection's own, so that none ends in mid-request.
		tr.IdleConnTimeout = min(tr.IdleConnTimeout, limits.Idle/2)
		tr.MaxConnsPerHost = limits.Connections
		tr.MaxIdleConnsPerHost = limits.Connections
		tr.MaxIdleConns = 0
		tr.ForceAttemptHTTP2 = false
		tr.ReadBufferSize = httpconn.Buffer
		tr.WriteBufferSize = httpconn.Buffer
		tr.DisableCompression = true
		tr.MaxResponseHeaderBytes = httpconn.MaxHeaders
	})
	transport := client.GetTransport()
	return observed(transport, observe), transport, nil
}

// newCredentialClient returns the client of whatever gives credentials.
func newCredentialClient(cfg Config) *awshttp.BuildableClient {
	limits := httpconn.For(cfg.Limits)
	return awshttp.NewBuildableClient().WithTimeout(limits.Idle).WithTransportOptions(func(tr *http.Transport) {
		tr.Proxy = httpconn.Proxy
		tr.TLSHandshakeTimeout = limits.Connect
	}).WithDialerOptions(func(d *net.Dialer) { d.Timeout = limits.Connect })
}

// observed makes a client of a transport, with the observers told of its
// requests. It follows no redirects, which would take objects and session tokens
// elsewhere: a signature is for one address.
func observed(transport http.RoundTripper, observe []backends.Observer) aws.HTTPClient {
	return doer{httpconn.Observe(httpconn.Watched(httpconn.Guarded(transport)), observe...)}
}

type doer struct{ http.RoundTripper }

func (d doer) Do(req *http.Request) (*http.Response, error) {
	if isRetry(req) {
		req = req.WithContext(httpconn.Repeated(req.Context()))
	}
	return d.RoundTrip(req)
}

// isRetry reads what the SDK tells the store with every request, as in
// "attempt=2; max=4".
func isRetry(req *http.Request) bool {
	attempt, _, _ := strings.Cut(req.Header.Get("Amz-Sdk-Request"), ";")
	return attempt != "" && attempt != "attempt=1"
}

func readCertificates(path string, read func(string) ([]byte, error)) (*x509.CertPool, error) {
	if read == nil {
		read = os.ReadFile
	}
	pem, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("s3: ca_certificates: %w: give the path of a file in PEM format", cmp.Or(errors.Unwrap(err), err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("s3: ca_certificates: the file holds no certificate: give one in PEM format")
	}
	return pool, nil
}
