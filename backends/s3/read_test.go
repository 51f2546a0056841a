package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"orthanc-bucketfs/backends"
)

// serve answers with the range asked for of an object, as a store does.
func serve(body []byte, etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if match := r.Header.Get("If-Match"); match != "" && match != etag {
			refuse(http.StatusPreconditionFailed, "PreconditionFailed")(w, r)
			return
		}
		var first, last int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err != nil {
			refuse(http.StatusBadRequest, "NoRange")(w, r)
			return
		}
		last = min(last, len(body)-1)
		w.Header().Set("ETag", etag)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(body)))
		w.Header().Set("Content-Length", fmt.Sprint(last-first+1))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(body[first : last+1])
	}
}

// cut lets h send n bytes of a body, and then breaks the connection.
func cut(n int, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(&cutWriter{w, n}, r)
		panic(http.ErrAbortHandler)
	}
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	n := min(w.left, len(p))
	w.left -= n
	_, err := w.ResponseWriter.Write(p[:n])
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	return len(p), err
}

func TestBodyCutShort(t *testing.T) {
	body := pattern(100_000)
	b := fake(t, cut(60_000, serve(body, `"v"`)), nil)
	p := make([]byte, len(body))
	n, _, err := b.Read(t.Context(), "x", "", p, 0)
	wantOnly(t, err, io.ErrUnexpectedEOF)
	if n != 60_000 || !bytes.Equal(p[:n], body[:n]) {
		t.Errorf("got %d bytes, want 60000 of the object", n)
	}
}

func TestReadGoesOn(t *testing.T) {
	body := pattern(100_000)
	whole := serve(body, `"v"`)
	var ranges, pins []string
	handle, requests := counted(each(cut(60_000, whole), cut(1, whole), cut(0, whole), whole))
	b := fake(t, func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		pins = append(pins, r.Header.Get("If-Match"))
		handle(w, r)
	}, retries(3))
	p := make([]byte, len(body)+10)
	n, obj, err := b.Read(t.Context(), "x", "", p, 10)
	if err != nil || !bytes.Equal(p[:n], body[10:]) || obj.Size != int64(len(body)) {
		t.Errorf("got %d bytes of %d, error %v", n, obj.Size, err)
	}
	if got, want := fmt.Sprint(ranges), "[bytes=10-100019 bytes=60010-99999 bytes=60011-99999 bytes=60011-99999]"; got != want {
		t.Errorf("got ranges %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%q", pins), `["" "\"v\"" "\"v\"" "\"v\""]`; got != want {
		t.Errorf("got If-Match %s, want %s", got, want)
	}
	if requests() != 4 {
		t.Errorf("got %d requests, want 4", requests())
	}
}

func TestReadNeverMixes(t *testing.T) {
	body := pattern(100_000)
	ignoresIfMatch := func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("If-Match")
		serve(body, `"w"`)(w, r)
	}
	for name, second := range map[string]http.HandlerFunc{
		"replaced":                  serve(body, `"w"`),
		"replaced, If-Match absent": ignoresIfMatch,
	} {
		t.Run(name, func(t *testing.T) {
			b := fake(t, each(cut(60_000, serve(body, `"v"`)), second), retries(3))
			_, _, err := b.Read(t.Context(), "x", "", make([]byte, len(body)), 0)
			wantOnly(t, err, backends.ErrChanged)
		})
	}
	b := fake(t, ignoresIfMatch, nil)
	_, _, err := b.Read(t.Context(), "x", "v", make([]byte, 10), 0)
	wantOnly(t, err, backends.ErrChanged)
}

// A body that stops coming is given up after request_timeout and fetched again;
// if that is silent, too, so is the call.
func TestReadAfterSilence(t *testing.T) {
	body := pattern(100_000)
	silent := func(w http.ResponseWriter, r *http.Request) {
		serve(body, `"v"`)(&cutWriter{w, 50}, r)
		hang(t)(w, r)
	}
	impatient := func(cfg *Config) { cfg.RequestTimeout, cfg.MaxRetries = 1, 1 }
	b := fake(t, each(silent, serve(body, `"v"`)), impatient)
	p := make([]byte, len(body))
	n, _, err := b.Read(t.Context(), "x", "", p, 0)
	if err != nil || n != len(body) || !bytes.Equal(p, body) {
		t.Errorf("got %d bytes, error %v", n, err)
	}
	handle, requests := counted(silent)
	_, _, err = fake(t, handle, impatient).Read(t.Context(), "x", "", p, 0)
	if err == nil || requests() > 2 {
		t.Errorf("after %d requests: %v", requests(), err)
	}
	wantOnly(t, err, nil)
}

// Answers that no description of an object can be made from.
func TestUnusableAnswers(t *testing.T) {
	body := pattern(1000)
	with := func(name, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			serve(body, `"v"`)(&headerWriter{w, name, value}, r)
		}
	}
	for name, handle := range map[string]http.HandlerFunc{
		"no ETag":       with("ETag", ""),
		"another range": with("Content-Range", "bytes 0-9/1000"),
		"no size":       with("Content-Range", "bytes 10-19/*"),
		"no range":      with("Content-Range", ""),
	} {
		t.Run(name, func(t *testing.T) {
			b := fake(t, handle, nil)
			_, _, err := b.Read(t.Context(), "x", "", make([]byte, 5), 10)
			wantOnly(t, err, nil)
			if errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got error %v", err)
			}
		})
	}
}

// headerWriter sets a header over the handler's own.
type headerWriter struct {
	http.ResponseWriter
	name, value string
}

func (w *headerWriter) WriteHeader(status int) {
	w.Header().Set(w.name, w.value)
	w.ResponseWriter.WriteHeader(status)
}
