package httpconn

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"orthanc-bucketfs/backends"
)

// Observe returns next with the observers told of every request that goes out
// through it, once its answer has been read, closed, or failed to come.
func Observe(next http.RoundTripper, observers ...backends.Observer) http.RoundTripper {
	if len(observers) == 0 {
		return next
	}
	return &observer{next, observers}
}

type repeatedKey struct{}

// Repeated returns a context for a request that repeats one before, which it
// counts.
func Repeated(ctx context.Context) context.Context {
	backends.Repeat(ctx)
	return context.WithValue(ctx, repeatedKey{}, true)
}

func isRepeated(ctx context.Context) bool {
	repeated, _ := ctx.Value(repeatedKey{}).(bool)
	return repeated
}

type observer struct {
	next      http.RoundTripper
	observers []backends.Observer
}

func (o *observer) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{observers: o.observers, begin: time.Now(), method: req.Method, retry: isRepeated(req.Context())}
	resp, err := o.next.RoundTrip(x.counted(req))
	if err != nil {
		x.over(err)
		return nil, err
	}
	x.status = resp.StatusCode
	if resp.Body == http.NoBody {
		x.over(nil)
		return resp, nil
	}
	resp.Body = &answerBody{resp.Body, x}
	return resp, nil
}

// exchange is a request and its answer.
type exchange struct {
	observers []backends.Observer
	begin     time.Time
	method    string
	retry     bool
	status    int
	sent      atomic.Int64 // the transport may be sending after it has returned
	received  atomic.Int64
	once      sync.Once
}

func (x *exchange) over(err error) {
	x.once.Do(func() {
		r := backends.Request{
			Method: x.method, Status: x.status, Err: err, Duration: time.Since(x.begin),
			Sent: x.sent.Load(), Received: x.received.Load(), Retry: x.retry,
		}
		for _, observe := range x.observers {
			observe(r)
		}
	})
}

// counted returns req with the bytes of its body counted.
func (x *exchange) counted(req *http.Request) *http.Request {
	if req.Body == nil || req.Body == http.NoBody {
		return req
	}
	req = req.WithContext(req.Context()) // a RoundTripper must not change what it was given
	req.Body = &requestBody{req.Body, &x.sent}
	if open := req.GetBody; open != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := open()
			if err != nil {
				return nil, err
			}
			return &requestBody{body, &x.sent}, nil
		}
	}
	return req
}

type requestBody struct {
	io.ReadCloser
	sent *atomic.Int64
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sent.Add(int64(n))
	return n, err
}

type answerBody struct {
	io.ReadCloser
	exchange *exchange
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.exchange.received.Add(int64(n))
	if errors.Is(err, io.EOF) {
		b.exchange.over(nil)
	} else if err != nil {
		b.exchange.over(err)
	}
	return n, err
}

func (b *answerBody) Close() error {
	b.exchange.over(nil)
	return b.ReadCloser.Close()
}
