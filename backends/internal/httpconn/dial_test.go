package httpconn

import (
	"context"
	"net"
	"testing"
	"time"
)

// A name server that takes questions and stays silent holds no dial longer than
// connection_timeout.
func TestSilentNameServer(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	system := net.DefaultResolver
	defer func() { net.DefaultResolver = system }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", silent.LocalAddr().String())
	}}
	pool := NewPool(Limits{Connect: 100 * time.Millisecond, Idle: time.Hour, Connections: 1})
	start := time.Now()
	_, err = pool.Dial(t.Context(), "tcp", "store.example:443")
	if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() {
		t.Errorf("got error %v", err)
	}
	if spent := time.Since(start); spent >= 5*time.Second { // the resolver's own patience, once
		t.Errorf("it took %v", spent)
	}
	asked := make([]byte, 512)
	if n, _, err := silent.ReadFrom(asked); n == 0 || err != nil {
		t.Errorf("the name server was asked %d bytes, %v", n, err)
	}
}
