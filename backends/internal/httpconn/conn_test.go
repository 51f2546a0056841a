package httpconn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

const (
	shortly = 500 * time.Millisecond
	upload  = 2 << 20 // bytes, which the kernels of both sides keep most of
)

// connect returns a connection whose other side is served.
func connect(t *testing.T, serve func(*net.TCPConn)) *conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		c, err := listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_ = c.(*net.TCPConn).SetReadBuffer(16 << 10)
		serve(c.(*net.TCPConn))
	}()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := &conn{Conn: dialled, timeout: shortly, pool: new(atomic.Int64)}
	t.Cleanup(func() { c.Close() })
	return c
}

// What is written is in the kernel long before a slow line has taken it.
func TestSlowLineIsNotSilent(t *testing.T) {
	c := connect(t, func(c *net.TCPConn) {
		for range upload / (64 << 10) {
			time.Sleep(shortly / 8)
			if _, err := io.CopyN(io.Discard, c, 64<<10); err != nil {
				t.Error(err)
				return
			}
		}
		_, _ = c.Write([]byte{1})
	})
	if n, err := c.Write(make([]byte, upload)); n != upload || err != nil {
		t.Fatalf("wrote %d bytes, error %v", n, err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("read %d bytes, error %v", n, err)
	}
}

func TestDeadLineIsSilent(t *testing.T) {
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	c := connect(t, func(*net.TCPConn) { <-end })
	n, err := c.Write(make([]byte, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.bytes.Load() != int64(n) {
		t.Errorf("wrote %d of %d bytes, error %v", n, c.bytes.Load(), err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
