package azure

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
)

var errTakenBack = errors.New("request body was taken back")

// loan is a body lent to net/http, which may be reading it still when its
// answer has come, its context has ended, or the SDK sends it again. Every
// attempt reads it for itself, and nobody once it has been taken back.
type loan struct {
	mu   sync.RWMutex // guards body, and the bytes in it while they are copied
	body []byte       // nil once taken back
}

type loanKey struct{}

// lend returns a context for the one request that has body as its body, that
// body for the SDK, and the function that takes it back.
func lend(ctx context.Context, body []byte) (context.Context, io.ReadSeekCloser, func()) {
	l := &loan{body: body}
	return context.WithValue(ctx, loanKey{}, l), streaming.NopCloser(bytes.NewReader(body)), l.takeBack
}

func (l *loan) takeBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.body = nil
}

// borrowed reads a loan from its start.
type borrowed struct {
	loan *loan
	off  int
}

func (b *borrowed) Read(p []byte) (int, error) {
	b.loan.mu.RLock()
	defer b.loan.mu.RUnlock()
	if b.loan.body == nil {
		return 0, errTakenBack
	}
	if b.off == len(b.loan.body) {
		return 0, io.EOF
	}
	n := copy(p, b.loan.body[b.off:])
	b.off += n
	return n, nil
}

func (b *borrowed) Close() error { return nil }

type attemptsKey struct{}

// countAttempts returns a context for one call of the SDK, and where the number
// of its requests is counted.
func countAttempts(ctx context.Context) (context.Context, *int) {
	n := new(int)
	return context.WithValue(ctx, attemptsKey{}, n), n
}

// sender sends requests of the SDK. It follows no redirects, of which the
// service knows none, and its errors do not hold the URL, which may hold a
// shared access signature.
type sender struct{ http.RoundTripper }

func (s sender) Do(req *http.Request) (*http.Response, error) { return s.RoundTrip(req) }

// storageSender sends those to the storage service, with the bodies that their
// contexts lend. Requests for tokens must not come here: they have the context of
// the request that needs the token.
type storageSender struct{ sender }

func (s storageSender) Do(req *http.Request) (*http.Response, error) {
	if n, ok := req.Context().Value(attemptsKey{}).(*int); ok {
		*n++
	}
	if l, ok := req.Context().Value(loanKey{}).(*loan); ok && req.Body != nil {
		req = req.WithContext(req.Context())
		req.Body = &borrowed{loan: l}
		req.GetBody = func() (io.ReadCloser, error) { return &borrowed{loan: l}, nil }
	}
	return s.sender.Do(req)
}
