package httpconn

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

const idle = 30 * time.Second

// over returns a pool and a client whose connections are answered by serve. With
// none nobody reads from them.
func over(t *testing.T, serve func(net.Conn)) (*Pool, *http.Client) {
	p := NewPool(Limits{Connect: time.Second, Idle: idle, Connections: 1})
	transport := NewTransport(p)
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if serve == nil {
				<-t.Context().Done()
				return
			}
			serve(theirs)
		}()
		return &conn{Conn: ours, timeout: idle, pool: &p.moved}, nil
	}
	t.Cleanup(transport.CloseIdleConnections)
	return p, &http.Client{Transport: Watched(transport)}
}

// get makes a call of one request and returns how long it took.
func get(p *Pool, client *http.Client, ctx context.Context) (time.Duration, error, error) {
	ctx, end := p.Call(ctx)
	defer end()
	begin := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://store.example/x", nil)
	if err != nil {
		return 0, err, nil
	}
	resp, err := client.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	return time.Since(begin), err, Ended(ctx)
}

func readRequest(c net.Conn) {
	if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

func TestSilentCallIsGivenUp(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"nothing is read": nil,
		"no answer": func(c net.Conn) {
			readRequest(c)
			_, _ = io.Copy(io.Discard, c)
		},
		"half an answer": func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
			_, _ = io.Copy(io.Discard, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, client := over(t, serve)
				took, err, ended := get(p, client, t.Context())
				if !errors.Is(err, os.ErrDeadlineExceeded) || ended != nil {
					t.Errorf("got error %v, ended %v", err, ended)
				}
				if took < idle || took > idle+2*idle/ticks {
					t.Errorf("given up after %v", took)
				}
			})
		})
	}
}

// A request that was silent is repeated, and the call ends when that has been
// silent for an eighth of the time, whenever in the call it began.
func TestSilentRepetitionIsGivenUp(t *testing.T) {
	for _, begin := range []time.Duration{0, time.Millisecond, time.Second, 7 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p, client := over(t, func(c net.Conn) {
				readRequest(c)
				_, _ = io.Copy(io.Discard, c)
			})
			ctx, end := p.Call(t.Context())
			defer end()
			time.Sleep(begin)
			began, n := time.Now(), 0
			for ; Ended(ctx) == nil; n++ {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://store.example/x", nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.Do(req); err == nil {
					t.Fatal("no error")
				}
			}
			if took := time.Since(began); n != 2 || took < idle+idle/8 || took > idle+idle/8+idle/32 {
				t.Errorf("begun after %v: %d requests in %v", begin, n, took)
			}
		})
	}
}

// As long as a byte goes now and then, nothing is given up.
func TestTricklingCallGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client := over(t, func(c net.Conn) {
			readRequest(c)
			for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome body") {
				time.Sleep(idle - time.Second)
				_, _ = c.Write([]byte{b})
			}
		})
		took, err, ended := get(p, client, t.Context())
		if err != nil || ended != nil || took < 10*idle {
			t.Errorf("after %v: error %v, ended %v", took, err, ended)
		}
	})
}

// Requests that are sent again after a pause do not begin anew without a byte.
func TestPausesOfACallCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(Limits{Connect: time.Second, Idle: idle, Connections: 1})
		ctx, end := p.Call(t.Context())
		defer end()
		refused := errors.New("connection refused")
		client := &http.Client{Transport: Watched(&http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, refused },
		})}
		n := 0
		for ; Ended(ctx) == nil && n < 100; n++ {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://store.example/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Do(req); err == nil {
				t.Fatal("no error")
			}
			time.Sleep(5 * time.Second)
		}
		if !errors.Is(Ended(ctx), ErrStalled) || n > 8 {
			t.Errorf("%d requests, then %v", n, Ended(ctx))
		}
	})
}

// A call that waits for a connection lives on the bytes of those that have them.
func TestCallWaitsForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome body"
		first := true
		p, client := over(t, func(c net.Conn) {
			r := bufio.NewReader(c)
			for {
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				pause := time.Duration(0)
				if first {
					pause = 10 * time.Second
				}
				first = false
				for _, b := range []byte(answer) {
					time.Sleep(pause)
					_, _ = c.Write([]byte{b})
				}
			}
		})
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err, _ := get(p, client, t.Context())
				errs <- err
			}()
		}
		for range 2 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

// The caller's own end is told as such.
func TestEndedTellsTheCallersEnd(t *testing.T) {
	p := NewPool(Limits{Idle: time.Hour})
	outer, cancel := context.WithCancel(t.Context())
	ctx, end := p.Call(outer)
	defer end()
	if err := Ended(ctx); err != nil {
		t.Error(err)
	}
	cancel()
	if err := Ended(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
