package azure

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

const (
	ioBuffer       = 64 << 10 // bytes, for each direction of a connection
	maxIdleTimeout = 90 * time.Second
)

// newTransport returns a transport that speaks HTTP/1.1 alone: several
// transfers get several connections.
func newTransport(cfg Config) *http.Transport {
	connect := time.Duration(cfg.ConnectionTimeout) * time.Second
	idle := time.Duration(cfg.RequestTimeout) * time.Second
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &idleConn{conn, idle}, nil
		},
		Protocols:             protocols,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   connect,
		ResponseHeaderTimeout: idle,
		ExpectContinueTimeout: time.Second, // the SDK asks first when the service is busy
		// Less than the connection's own, so that none ends in mid-request.
		IdleConnTimeout:     min(maxIdleTimeout, idle/2),
		MaxConnsPerHost:     cfg.MaxConnections,
		MaxIdleConnsPerHost: cfg.MaxConnections,
		DisableCompression:  true, // ranges and checksums are about the bytes as they are stored
		ReadBufferSize:      ioBuffer,
		WriteBufferSize:     ioBuffer,
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
