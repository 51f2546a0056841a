package inspect

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"orthanc-bucketfs/backends"
)

// Way is the way to a store.
type Way struct {
	URL       *url.URL        // of the store; its scheme and host alone are used
	Transport *http.Transport // the backend's own, with its proxy, authorities and timeouts; it is not changed

	// ClockLimit is the difference between its clock and ours from which on the
	// store refuses requests; 0 if that is not known.
	ClockLimit time.Duration

	// Trust says what to do about a certificate of an authority that is not
	// trusted; empty for what helps with every backend.
	Trust string
}

// Steps examines name, connection, TLS and clock. It sends no credentials:
// whatever the store answers to that will do.
func (w Way) Steps() []Step {
	return []Step{
		{"DNS", w.name},
		{"connection", w.connection},
		{"TLS", w.tls},
		{"clock", w.clock},
	}
}

// proxy returns the proxy before the store, nil if there is none.
func (w Way) proxy() *url.URL {
	if w.Transport.Proxy == nil {
		return nil
	}
	proxy, err := w.Transport.Proxy(&http.Request{URL: w.URL})
	if err != nil {
		return nil
	}
	return proxy
}

// address returns what is dialled: the proxy, if there is one.
func (w Way) address() (host, port string) {
	u := cmp.Or(w.proxy(), w.URL)
	port = "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return u.Hostname(), cmp.Or(u.Port(), port)
}

func (w Way) name(ctx context.Context) backends.Finding {
	host, _ := w.address()
	suffix := ""
	if w.proxy() != nil {
		suffix = ": the proxy on the way to " + w.URL.Hostname()
	}
	if net.ParseIP(host) != nil {
		return Fine(host + " is an address" + suffix)
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return Wrong(fmt.Errorf("%s cannot be resolved: %w: correct the name, or mend this machine's name resolution", host, err))
	}
	return Fine(host + " is " + strings.Join(addresses, ", ") + suffix)
}

func (w Way) connection(ctx context.Context) backends.Finding {
	conn, err := w.dial(ctx)
	if err != nil {
		return Wrong(fmt.Errorf("%w: check address and port, and the firewalls on the way", err))
	}
	defer conn.Close()
	return Fine("to " + conn.RemoteAddr().String())
}

func (w Way) dial(ctx context.Context) (net.Conn, error) {
	address := net.JoinHostPort(w.address())
	if w.Transport.DialContext != nil {
		return w.Transport.DialContext(ctx, "tcp", address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

func (w Way) tls(ctx context.Context) backends.Finding {
	switch {
	case w.URL.Scheme == "http" && isLoopback(w.URL.Hostname()):
		return Fine("none, for http on this machine")
	case w.URL.Scheme == "http":
		return Doubtful("none: whoever is on the way can see and change what goes over http: use an https endpoint")
	}
	state, err := w.handshake(ctx)
	if err != nil {
		return Wrong(explainTLS(err, w.Trust))
	}
	return describeCertificate(state.PeerCertificates[0], time.Now())
}

// handshake goes through the proxy with a request, if there is one.
func (w Way) handshake(ctx context.Context) (*tls.ConnectionState, error) {
	if w.proxy() != nil {
		resp, err := w.ask(ctx)
		if err != nil {
			return nil, err
		}
		return resp.TLS, nil
	}
	conn, err := w.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	config := new(tls.Config)
	if w.Transport.TLSClientConfig != nil {
		config = w.Transport.TLSClientConfig.Clone()
	}
	config.ServerName = cmp.Or(config.ServerName, w.URL.Hostname())
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	state := secured.ConnectionState()
	return &state, nil
}

func (w Way) clock(ctx context.Context) backends.Finding {
	sent := time.Now()
	resp, err := w.ask(ctx)
	if err != nil {
		return Wrong(fmt.Errorf("the store does not answer: %w: check the address, and for a proxy", err))
	}
	return compareClocks(resp.Header.Get("Date"), sent, time.Now(), w.ClockLimit)
}

// ask asks for nothing in particular, over a connection of its own.
func (w Way) ask(ctx context.Context) (*http.Response, error) {
	transport := w.Transport.Clone()
	defer transport.CloseIdleConnections()
	return Anonymous(ctx, transport, (&url.URL{Scheme: w.URL.Scheme, Host: w.URL.Host, Path: "/"}).String())
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// withoutURL takes the URL off an error of net/http.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
