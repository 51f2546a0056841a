package wire

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// Fault answers a request in the place of the server, and may ask the server.
type Fault func(w http.ResponseWriter, r *http.Request, server http.Handler)

// Refuse answers with an HTTP status and, unless it is empty, the header
// Retry-After. The server does not see the request.
func Refuse(status int, retryAfter string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
	}
}

// ResetBefore resets the connection before the body of the request is read.
func ResetBefore(w http.ResponseWriter, _ *http.Request, _ http.Handler) { reset(w) }

// ResetAfter resets the connection after the body of the request has been
// read. The server does not see the request.
func ResetAfter(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body)
	reset(w)
}

// LoseAnswer has the server carry the request out, and resets the connection.
func LoseAnswer(w http.ResponseWriter, r *http.Request, server http.Handler) {
	if whole, ok := detach(r); ok {
		server.ServeHTTP(httptest.NewRecorder(), whole)
	}
	reset(w)
}

// Late resets the connection, and has the server carry the request out after a
// while.
func Late(d time.Duration) Fault {
	return func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		whole, ok := detach(r)
		reset(w)
		if ok {
			time.Sleep(d)
			server.ServeHTTP(httptest.NewRecorder(), whole)
		}
	}
}

// Delay passes the request on after a while.
func Delay(d time.Duration) Fault {
	return func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		time.Sleep(d)
		server.ServeHTTP(w, r)
	}
}

// Hang gives no answer until the client has gone. The server does not see the
// request.
func Hang(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// HangAfter has the server carry the request out, and gives no answer until the
// client has gone.
func HangAfter(_ http.ResponseWriter, r *http.Request, server http.Handler) {
	if whole, ok := detach(r); ok {
		server.ServeHTTP(httptest.NewRecorder(), whole)
	}
	<-r.Context().Done()
}

// CutAnswer breaks the connection off in the middle of the body of the answer,
// or before an answer that has none.
func CutAnswer(w http.ResponseWriter, r *http.Request, server http.Handler) {
	whole, ok := detach(r)
	if !ok {
		reset(w)
		return
	}
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, whole)
	body := answer.Body.Bytes()
	if len(body) == 0 {
		reset(w)
		return
	}
	copyHeader(w, answer)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// Damage changes one bit in the middle of the bytes of an object that the
// server answers with. Other answers are left alone.
func Damage(w http.ResponseWriter, r *http.Request, server http.Handler) {
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, r)
	body := answer.Body.Bytes()
	if r.Method == http.MethodGet && answer.Header().Get("Content-Type") == "application/octet-stream" && len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	copyHeader(w, answer)
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body)
}

func copyHeader(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), answer.Header())
}

// detach returns the request with its whole body, which the client may not have
// sent, and without the client's context.
func detach(r *http.Request) (*http.Request, bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false
	}
	whole := r.Clone(context.WithoutCancel(r.Context()))
	whole.Body = io.NopCloser(bytes.NewReader(body))
	return whole, true
}

func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}
