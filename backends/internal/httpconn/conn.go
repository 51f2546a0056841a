package httpconn

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a connection that ends when no byte goes over it for some time,
// however long the whole transfer takes. It counts those that have gone.
type conn struct {
	net.Conn
	timeout time.Duration
	bytes   atomic.Int64 // read and written
	pool    *atomic.Int64
	acked   atomic.Uint64 // when the deadline was last set
	known   atomic.Uint64 // acked bytes at the last look that could be had
}

func (c *conn) Read(p []byte) (int, error) {
	for wait := c.timeout; ; wait = c.rest() {
		if err := c.extend(wait); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(p)
		c.count(n)
		if n > 0 || !c.sending(err) {
			return n, err
		}
	}
}

// Write extends the time of the Read that waits meanwhile for the answer, too.
func (c *conn) Write(p []byte) (int, error) {
	sent := 0
	for wait := c.timeout; ; wait = c.rest() {
		if err := c.extend(wait); err != nil {
			return sent, err
		}
		n, err := c.Conn.Write(p[sent:])
		c.count(n)
		sent += n
		if n == 0 && !c.sending(err) || n > 0 && !errors.Is(err, os.ErrDeadlineExceeded) {
			return sent, err
		}
	}
}

func (c *conn) extend(wait time.Duration) error {
	c.acked.Store(c.ackedBytes())
	return c.Conn.SetDeadline(time.Now().Add(wait))
}

// rest returns what is left of the timeout since the other side has last taken
// bytes.
func (c *conn) rest() time.Duration { return max(c.timeout-c.sinceAck(), time.Millisecond) }

func (c *conn) count(n int) {
	c.bytes.Add(int64(n))
	c.pool.Add(int64(n))
}

// sending tells whether err is the end of a time in which the other side has
// taken bytes that were written before. The kernel keeps megabytes of them, for
// which a slow line takes longer than any sensible timeout.
func (c *conn) sending(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && c.ackedBytes() != c.acked.Load()
}

// moved counts bytes, those that the other side has taken twice.
func (c *conn) moved() int64 { return c.bytes.Load() + int64(c.ackedBytes()) }

// ackedBytes returns how many bytes the other side has taken, as far as is
// known: of a connection that was closed nothing can be learnt any more.
func (c *conn) ackedBytes() uint64 {
	if info := c.info(); info != nil {
		c.known.Store(info.Bytes_acked)
	}
	return c.known.Load()
}

func (c *conn) sinceAck() time.Duration {
	if info := c.info(); info != nil {
		return time.Duration(info.Last_ack_recv) * time.Millisecond
	}
	return 0
}

// info returns what the kernel knows of the connection, or nil.
func (c *conn) info() (info *unix.TCPInfo) {
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	_ = raw.Control(func(fd uintptr) {
		info, _ = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	return info
}
