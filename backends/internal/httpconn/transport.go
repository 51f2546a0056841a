// Package httpconn holds what the cloud backends share below their SDKs: HTTP
// connections that may live as long as bytes go, and no longer.
package httpconn

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"orthanc-bucketfs/backends"
)

// Buffer is the size in bytes of the buffer for each direction of a connection.
const Buffer = 64 << 10

// MaxHeaders is the size in bytes of the largest header that is taken.
const MaxHeaders = 256 << 10

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
func NewTransport(p *Pool) *http.Transport {
	l := p.limits
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               Proxy,
		DialContext:         p.Dial,
		Protocols:           protocols,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: l.Connect,
		// Less than the connection's own, so that none ends in mid-request.
		IdleConnTimeout:     min(maxIdleTimeout, l.Idle/2),
		MaxConnsPerHost:     l.Connections,
		MaxIdleConnsPerHost: l.Connections,
		DisableCompression:  true, // ranges and checksums are about the bytes as they are stored
		ReadBufferSize:      Buffer,
		WriteBufferSize:     Buffer,

		MaxResponseHeaderBytes: MaxHeaders,
	}
}

// Pool makes connections within limits.
type Pool struct {
	limits Limits
	moved  atomic.Int64 // bytes, over all connections
}

// NewPool returns a pool without connections.
func NewPool(l Limits) *Pool { return &Pool{limits: l} }

// Dial is for http.Transport's DialContext.
func (p *Pool) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: p.limits.Connect, KeepAlive: 30 * time.Second}
	dialled, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: dialled, timeout: p.limits.Idle, pool: &p.moved}, nil
}
