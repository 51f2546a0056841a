package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

const ioBuffer = 64 << 10 // bytes, for each direction of a connection

// newHTTPClient returns the client for requests to the store. It speaks
// HTTP/1.1 alone: several transfers get several connections.
func newHTTPClient(cfg Config) (aws.HTTPClient, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CACertificates != "" {
		pool, err := readCertificates(cfg.CACertificates)
		if err != nil {
			return nil, err
		}
		tlsConfig.RootCAs = pool
	}
	connect := time.Duration(cfg.ConnectionTimeout) * time.Second
	idle := time.Duration(cfg.RequestTimeout) * time.Second
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	client := awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &idleConn{conn, idle}, nil
		}
		tr.TLSClientConfig = tlsConfig
		tr.TLSHandshakeTimeout = connect
		tr.ResponseHeaderTimeout = idle
		// Less than the connection's own, so that none ends in mid-request.
		tr.IdleConnTimeout = min(tr.IdleConnTimeout, idle/2)
		tr.MaxConnsPerHost = cfg.MaxConnections
		tr.MaxIdleConnsPerHost = cfg.MaxConnections
		tr.MaxIdleConns = 0
		tr.ForceAttemptHTTP2 = false
		tr.ReadBufferSize = ioBuffer
		tr.WriteBufferSize = ioBuffer
	})
	return client.Freeze(), nil
}

func readCertificates(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("s3: ca_certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("s3: ca_certificates %s holds no certificate: give a file in PEM format", path)
	}
	return pool, nil
}

// idleConn ends a connection over which no byte goes for some time, however
// long the whole transfer takes.
type idleConn struct {
	net.Conn
	timeout time.Duration
}

func (c *idleConn) Read(p []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write extends the time of the Read that waits meanwhile for the answer, too.
func (c *idleConn) Write(p []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *idleConn) extend() error {
	return c.Conn.SetDeadline(time.Now().Add(c.timeout))
}
