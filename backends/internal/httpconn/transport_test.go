package httpconn

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// deadlineRecorder records that a deadline was set before each read and write.
type deadlineRecorder struct {
	net.Conn
	set  int
	last time.Time
}

func (c *deadlineRecorder) SetDeadline(t time.Time) error { c.set++; c.last = t; return nil }
func (c *deadlineRecorder) Read(p []byte) (int, error)    { return len(p), nil }
func (c *deadlineRecorder) Write(p []byte) (int, error)   { return len(p), nil }

// A transfer of any length lives as long as bytes go.
func TestEveryByteExtendsTheDeadline(t *testing.T) {
	inner := new(deadlineRecorder)
	conn := &conn{Conn: inner, timeout: time.Hour, pool: new(atomic.Int64)}
	for i := range 10 {
		before := time.Now()
		if i%2 == 0 {
			_, _ = conn.Read(make([]byte, 1))
		} else {
			_, _ = conn.Write(make([]byte, 1))
		}
		if inner.set != i+1 || inner.last.Before(before.Add(time.Hour)) || inner.last.After(time.Now().Add(time.Hour)) {
			t.Fatalf("after %d transfers: deadline set %d times, to %v", i+1, inner.set, inner.last)
		}
	}
}
