package httpconn

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync"
	"time"
)

// ErrStalled reports that a call was given up for want of progress.
var ErrStalled = errors.New("no byte went in either direction for request_timeout")

const (
	// ticks is how often in the time without a byte a call looks whether one has
	// gone.
	ticks = 64

	// minRepeat is what the repetition of a request that was silent has until a
	// byte goes, where an eighth of what that one had is less, and a half more.
	minRepeat = 2 * time.Second
)

// Call returns a context for all requests of one call, and the function that
// ends it. A request over whose connection no byte goes in either direction for the
// time in the limits ends by itself, and may be repeated: one connection that hangs
// is no outage. The context ends when no byte of the repetition goes for an eighth
// of that time, or of any request for nine eighths of it, pauses between two
// requests and looking for credentials included. While a request waits for others
// to free a connection, their bytes count as well.
func (p *Pool) Call(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := &call{pool: p, requests: make(map[*request]struct{}), patience: p.limits.Idle + p.limits.Idle/8, last: time.Now(), stall: func() { cancel(ErrStalled) }}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(p.limits.Idle/ticks, c.tick)
	return context.WithValue(ctx, callKey{}, c), func() {
		c.end()
		cancel(nil)
	}
}

// Ended returns why ctx has ended: ErrStalled, or the error of the caller's own
// context; nil if it has not.
func Ended(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
		return cause
	}
	return ctx.Err()
}

type callKey struct{}

// call watches the requests of one call.
type call struct {
	pool  *Pool
	stall func()

	mu       sync.Mutex // guards the fields below
	timer    *time.Timer
	over     bool
	requests map[*request]struct{} // under way
	done     int64                 // bytes of those that have ended
	seen     int64                 // bytes at the last look
	last     time.Time             // of the looks
	quiet    time.Duration         // since a byte has gone
	patience time.Duration         // that ends the call
}

func (c *call) tick() {
	c.mu.Lock()
	stalled := c.look()
	if !c.over && !stalled {
		c.timer.Reset(c.pool.limits.Idle / ticks)
	}
	c.mu.Unlock()
	if stalled {
		c.stall()
	}
}

// look tells whether no bytes have gone for too long. The caller holds c.mu.
func (c *call) look() (stalled bool) {
	now := c.done
	for r := range c.requests {
		now += r.moved()
	}
	// A process that was stopped, or a machine that slept, has not waited meanwhile.
	c.quiet += min(time.Since(c.last), 4*c.pool.limits.Idle/ticks)
	c.last = time.Now()
	if now != c.seen {
		c.seen, c.quiet = now, 0
	}
	return c.quiet >= c.patience
}

func (c *call) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.timer.Stop()
}

// request is one request of a call. Its fields are guarded by the call's mu.
type request struct {
	call  *call
	conn  *conn // nil while it waits for one
	begin int64 // bytes of conn, or of all connections, at its beginning
	ahead int64 // bytes of all connections while it waited
}

func (r *request) moved() int64 {
	if r.conn == nil {
		return r.call.pool.moved.Load() - r.begin
	}
	return r.ahead + r.conn.moved() - r.begin
}

func (c *call) begin() *request {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &request{call: c, begin: c.pool.moved.Load()}
	c.requests[r] = struct{}{}
	return r
}

func (r *request) got(info httptrace.GotConnInfo) {
	conn := innermost(info.Conn)
	if conn == nil {
		return
	}
	r.call.mu.Lock()
	defer r.call.mu.Unlock()
	r.ahead = r.moved()
	r.conn, r.begin = conn, conn.moved()
}

// over ends r because of err, if that is not nil.
func (r *request) over(err error) {
	r.call.mu.Lock()
	defer r.call.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) { // it was silent
		idle := r.call.pool.limits.Idle
		r.call.quiet, r.call.last, r.call.patience = 0, time.Now(), max(idle/8, min(minRepeat, idle/2))
	}
	if _, ok := r.call.requests[r]; ok {
		r.call.done += r.moved()
		delete(r.call.requests, r)
	}
}

// innermost returns the connection of a Pool below a TLS connection.
func innermost(c net.Conn) *conn {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	inner, _ := c.(*conn)
	return inner
}

// Watched returns next with the bytes of requests told to the calls that they
// belong to.
func Watched(next http.RoundTripper) http.RoundTripper { return watched{next} }

type watched struct{ next http.RoundTripper }

func (w watched) RoundTrip(req *http.Request) (*http.Response, error) {
	c, ok := req.Context().Value(callKey{}).(*call)
	if !ok {
		return w.next.RoundTrip(req)
	}
	r := c.begin()
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: r.got})
	resp, err := w.next.RoundTrip(req.WithContext(ctx))
	if err != nil || resp.Body == http.NoBody {
		r.over(err)
		return resp, err
	}
	resp.Body = &watchedBody{resp.Body, r}
	return resp, nil
}

type watchedBody struct {
	io.ReadCloser
	request *request
}

// Read ends with the last byte: the connection may be another request's then.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.request.over(err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.request.over(nil)
	return b.ReadCloser.Close()
}
