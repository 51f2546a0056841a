// Package httpconn holds what the cloud backends share below their SDKs: HTTP
// connections that may live as long as bytes go, and no longer.
package httpconn

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"orthanc-bucketfs/backends"
)

// Buffer is the size in bytes of the buffer for each direction of a connection.
const Buffer = 64 << 10

const maxIdleTimeout = 90 * time.Second

// Limits bound the connections of one backend.
type Limits struct {
	Connect     time.Duration // to connect, and again for the TLS handshake
	Idle        time.Duration // without a byte in either direction
	Connections int           // at one time
}

// For returns what the configuration says of connections.
func For(l backends.Limits) Limits {
	return Limits{
		Connect:     time.Duration(l.ConnectionTimeout) * time.Second,
		Idle:        time.Duration(l.RequestTimeout) * time.Second,
		Connections: l.MaxConnections,
	}
}

// NewTransport returns a transport that speaks HTTP/1.1 alone: several
// transfers get several connections.
func NewTransport(l Limits) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           l.DialContext(),
		Protocols:             protocols,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   l.Connect,
		ResponseHeaderTimeout: l.Idle,
		// Less than the connection's own, so that none ends in mid-request.
		IdleConnTimeout:     min(maxIdleTimeout, l.Idle/2),
		MaxConnsPerHost:     l.Connections,
		MaxIdleConnsPerHost: l.Connections,
		DisableCompression:  true, // ranges and checksums are about the bytes as they are stored
		ReadBufferSize:      Buffer,
		WriteBufferSize:     Buffer,
	}
}

// DialContext returns a function for http.Transport that makes connections
// within the limits.
func (l Limits) DialContext() func(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: l.Connect, KeepAlive: 30 * time.Second}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &idleConn{conn, l.Idle}, nil
	}
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
