package azure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
)

// flaky serves one object and cuts each of the first cuts bodies after piece
// bytes. It notes the range and the condition of each request.
type flaky struct {
	body  []byte
	cuts  int
	piece int
	gone  bool // another version is there after the first answer
	seen  []string
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == "HEAD" {
		describeTo(w, "new")
		w.Header().Set("Content-Length", "1")
		return
	}
	f.seen = append(f.seen, r.Header.Get("Range")+r.Header.Get("x-ms-range")+" "+r.Header.Get("If-Match"))
	if f.gone && len(f.seen) > 1 {
		refuse(w, http.StatusPreconditionFailed, "ConditionNotMet")
		return
	}
	var from, to int
	if _, err := fmt.Sscanf(r.Header.Get("Range")+r.Header.Get("x-ms-range"), "bytes=%d-%d", &from, &to); err != nil {
		panic(err)
	}
	part := f.body[from:min(to+1, len(f.body))]
	describeTo(w, "v")
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+len(part)-1, len(f.body)))
	w.Header().Set("Content-Length", fmt.Sprint(len(part)))
	w.WriteHeader(http.StatusPartialContent)
	if len(f.seen) > f.cuts {
		_, _ = w.Write(part)
		return
	}
	_, _ = w.Write(part[:f.piece])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func TestReadGoesOnWhereTheBodyBroke(t *testing.T) {
	f := &flaky{body: random(1, 1000), cuts: 2, piece: 100}
	b := fake(t, 2, f.ServeHTTP)
	p := make([]byte, 600)
	n, obj, err := b.Read(t.Context(), "x", "", p, 50)
	if err != nil || n != 600 || !bytes.Equal(p, f.body[50:650]) || obj.Version != "v" || obj.Size != 1000 {
		t.Errorf("Read: %d bytes, %+v, error %v", n, obj, err)
	}
	want := []string{"bytes=50-649 ", `bytes=150-649 "v"`, `bytes=250-649 "v"`}
	if !slices.Equal(f.seen, want) {
		t.Errorf("requests %q, want %q", f.seen, want)
	}
}

func TestReadGivesUp(t *testing.T) {
	for retries := range 3 {
		f := &flaky{body: random(1, 1000), cuts: 100, piece: 100}
		b := fake(t, retries, f.ServeHTTP)
		n, _, err := b.Read(t.Context(), "x", "", make([]byte, 1000), 0)
		wantNone(t, "Read", err)
		if !errors.Is(err, io.ErrUnexpectedEOF) || n != 100*(1+retries) || len(f.seen) != 1+retries {
			t.Errorf("Read with %d retries: %d bytes, %d requests, error %v", retries, n, len(f.seen), err)
		}
	}
}

func TestReadDoesNotMixVersions(t *testing.T) {
	f := &flaky{body: random(1, 1000), cuts: 1, piece: 100, gone: true}
	b := fake(t, 3, f.ServeHTTP)
	_, _, err := b.Read(t.Context(), "x", "", make([]byte, 1000), 0)
	wantOnly(t, "Read", err, backends.ErrChanged)
}

// TestReadOfAnotherVersion: the condition was lost on the way.
func TestReadOfAnotherVersion(t *testing.T) {
	f := &flaky{body: random(1, 1000)}
	b := fake(t, 0, f.ServeHTTP)
	_, _, err := b.Read(t.Context(), "x", "old", make([]byte, 1000), 0)
	wantOnly(t, "Read", err, backends.ErrChanged)
}

// TestReadOfStrangeAnswers has answers that no Azure gives, but a proxy may.
func TestReadOfStrangeAnswers(t *testing.T) {
	hundred := strings.Repeat("x", 100)
	for _, c := range []struct {
		name, headers, body string
		off                 int64
		want                error
	}{
		{"the whole object", "HTTP/1.1 200 OK\r\nContent-Length: 100", hundred, 0, nil},
		{"the whole object, instead of its end", "HTTP/1.1 200 OK\r\nContent-Length: 100", hundred, 90, errRange},
		{"the whole object, with another checksum", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-MD5: AAAAAAAAAAAAAAAAAAAAAA==", hundred, 0, errDamaged},
		{"another range", "HTTP/1.1 206 OK\r\nContent-Length: 100\r\nContent-Range: bytes 1-100/200", hundred, 0, errRange},
		{"a range without the size", "HTTP/1.1 206 OK\r\nContent-Length: 100\r\nContent-Range: bytes 0-99/*", hundred, 0, errRange},
		{"another checksum of the range", "HTTP/1.1 206 OK\r\nContent-Length: 100\r\nContent-Range: bytes 0-99/200\r\nContent-MD5: AAAAAAAAAAAAAAAAAAAAAA==", hundred, 0, errDamaged},
		{"a short body of no announced length", "HTTP/1.1 206 OK\r\nContent-Range: bytes 0-99/100", hundred[:40], 0, io.ErrUnexpectedEOF},
		{"no body of no announced length", "HTTP/1.1 206 OK\r\nContent-Range: bytes 0-99/100", "", 0, io.ErrUnexpectedEOF},
		{"a body shorter than the range", "HTTP/1.1 206 OK\r\nContent-Length: 40\r\nContent-Range: bytes 0-99/100", hundred[:40], 0, io.ErrUnexpectedEOF},
	} {
		b := fake(t, 0, raw(t, c.headers+"\r\nETag: \"v\"\r\nLast-Modified: Mon, 02 Jan 2006 15:04:05 GMT", c.body))
		n, obj, err := b.Read(t.Context(), "x", "", make([]byte, 100), c.off)
		if !errors.Is(err, c.want) || err == nil && (n != 100 || obj.Size != 100) {
			t.Errorf("%s: %d bytes, %+v, error %v, want %v", c.name, n, obj, err, c.want)
		}
	}
	for _, headers := range []string{
		"Content-Range: bytes 0-99/100\r\nLast-Modified: Mon, 02 Jan 2006 15:04:05 GMT",
		"Content-Range: bytes 0-99/100\r\nETag: \"v\"",
		"Content-Range: bytes 0-99/100\r\nETag: \"\"\r\nLast-Modified: Mon, 02 Jan 2006 15:04:05 GMT",
	} {
		b := fake(t, 0, raw(t, "HTTP/1.1 206 OK\r\nContent-Length: 100\r\n"+headers, hundred))
		_, _, err := b.Read(t.Context(), "x", "", make([]byte, 100), 0)
		if !errors.Is(err, errIncomplete) {
			t.Errorf("headers %q: error %v", headers, err)
		}
	}
}

// raw answers with just these headers and this body, and closes.
func raw(t testing.TB, headers, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s\r\nConnection: close\r\n\r\n%s", headers, body)
	}
}

// TestReadHangsInTheBody is released by the context alone.
func TestReadHangsInTheBody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := fake(t, 3, func(w http.ResponseWriter, r *http.Request) {
		describeTo(w, "v")
		w.Header().Set("Content-Range", "bytes 0-99/100")
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(make([]byte, 40))
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	})
	_, _, err := b.Read(ctx, "x", "", make([]byte, 100), 0)
	wantOnly(t, "Read", err, context.Canceled)
}
