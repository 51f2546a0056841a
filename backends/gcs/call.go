package gcs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"orthanc-bucketfs/backends/internal/httpconn"
	"orthanc-bucketfs/backends/internal/retry"
)

var errSpent = errors.New("no retries are left")

type callKey struct{}

// call follows the requests of one operation, which go out one after the
// other. The SDK does not tell enough about them.
type call struct {
	budget *retry.Budget

	mu        sync.Mutex // guards the fields up to broke
	limit     int        // requests it may send; 0 for any number
	requests  int        // sent so far
	open      bool       // the last request was not answered for good
	repeated  bool       // the last request is a retry
	succeeded bool       // the last request
	answer    *answer    // to the last request, if that was an error
	requestID string     // the service's name for the last request answered
	session   string     // URL of the upload session; a credential
	broke     error      // what ended the last request, or the body of its answer, before the end

	sending sync.Mutex // held while a request's body is read
	ended   bool       // guarded by sending: the caller has its body back
}

// follow returns a context for the requests of one operation. The operation
// ends with a call to end.
func follow(ctx context.Context, budget *retry.Budget) (context.Context, *call) {
	c := &call{budget: budget}
	return context.WithValue(ctx, callKey{}, c), c
}

// end gives the bodies of all requests back: net/http may still be reading
// from one whose answer has come or whose context has ended.
func (c *call) end() {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.ended = true
}

// allow bounds the requests from here on; 0 is any number.
func (c *call) allow(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit, c.requests = n, 0
}

// begin admits a request. One that follows another which was not answered for
// good is a retry, whoever makes it.
func (c *call) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit > 0 && c.requests >= c.limit || c.open && !c.budget.Take() {
		return errSpent
	}
	c.requests++
	c.open, c.repeated = true, c.open
	c.succeeded, c.answer = false, nil
	return nil
}

// isRepeated tells whether the last request is a retry.
func (c *call) isRepeated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.repeated
}

// finish notes that the body of an answer is no longer needed.
func (c *call) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		c.budget.Succeeded(c.repeated)
	}
}

// fail notes that a request, or the body of its answer, has ended too soon.
func (c *call) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open, c.broke = true, err
}

// last returns what the last request was answered with, nil if with no error
// or not at all.
func (c *call) last() *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answer
}

// status returns the HTTP status of the error that the last request was
// answered with, or 0.
func (c *call) status() int {
	if a := c.last(); a != nil {
		return a.status
	}
	return 0
}

// first tells whether only one request has been sent.
func (c *call) first() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests == 1
}

func (c *call) sessionURL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// cut returns what ended a request or a body before its end, if anything did.
func (c *call) cut() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broke
}

// follower tells the call that a request belongs to what becomes of it.
type follower struct{ next http.RoundTripper }

func (f follower) RoundTrip(req *http.Request) (*http.Response, error) {
	c, ok := req.Context().Value(callKey{}).(*call)
	if !ok {
		return f.next.RoundTrip(req)
	}
	if err := c.begin(); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	if c.isRepeated() {
		req = req.WithContext(httpconn.Repeated(req.Context()))
	}
	resp, err := f.next.RoundTrip(c.guard(req))
	if err != nil {
		c.fail(err)
		return nil, err
	}
	c.note(req, resp)
	return resp, nil
}

func (c *call) note(req *http.Request, resp *http.Response) {
	var a *answer
	if resp.StatusCode >= http.StatusBadRequest {
		a = readAnswer(resp)
	} else {
		resp.Body = &watched{ReadCloser: resp.Body, call: c}
	}
	resumable := req.URL.Query().Get("uploadType") == "resumable"
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer, c.succeeded = a, a == nil
	if c.open = a != nil && a.passing(); a != nil && !c.open {
		c.budget.Succeeded(c.repeated)
	}
	if location := resp.Header.Get("Location"); resumable && location != "" {
		c.session = location
	}
	if !resumable {
		c.requestID = resp.Header.Get("X-Guploader-Uploadid")
	}
}

// guard returns req with a body that cannot be read once c has ended.
func (c *call) guard(req *http.Request) *http.Request {
	if req.Body == nil || req.Body == http.NoBody {
		return req
	}
	guarded := req.WithContext(req.Context())
	guarded.Body = &guardedBody{req.Body, c}
	if req.GetBody != nil {
		guarded.GetBody = func() (io.ReadCloser, error) {
			body, err := req.GetBody()
			return &guardedBody{body, c}, err
		}
	}
	return guarded
}

type guardedBody struct {
	io.ReadCloser
	call *call
}

func (g *guardedBody) Read(p []byte) (int, error) {
	g.call.sending.Lock()
	defer g.call.sending.Unlock()
	if g.call.ended {
		return 0, io.ErrClosedPipe
	}
	return g.ReadCloser.Read(p)
}

// watched notes what ends the body of an answer, and whether too soon.
type watched struct {
	io.ReadCloser
	call *call
	once sync.Once
}

func (w *watched) Close() error {
	w.once.Do(w.call.finish)
	return w.ReadCloser.Close()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		w.call.fail(err)
	}
	return n, err
}
