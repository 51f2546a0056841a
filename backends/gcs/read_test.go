package gcs

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"net/http"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
)

func lastModified() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

const digits = "0123456789"

func TestReadGoesOn(t *testing.T) {
	f := newFake(t, cut(7, digits, 3), cut(7, digits, 2), content(7, digits))
	p := make([]byte, 9)
	n, obj, err := f.open(2).Read(t.Context(), "x", "7", p, 1)
	if err != nil || string(p[:n]) != digits[1:] {
		t.Fatalf("got %q, error %v", p[:n], err)
	}
	want := backends.Object{Key: "x", Size: 10, Modified: lastModified(), Version: "7"}
	if obj != want {
		t.Errorf("got %+v, want %+v", obj, want)
	}
	f.used()
	for i, r := range f.seen {
		if got := r.Header.Get("Range"); got != []string{"bytes=1-9", "bytes=4-9", "bytes=6-9"}[i] {
			t.Errorf("request %d: Range is %q", i, got)
		}
		if got := r.Header.Get("X-Goog-If-Generation-Match"); got != "7" {
			t.Errorf("request %d: condition is %q", i, got)
		}
	}
}

// TestReadGoesOnWithVersion: without a version to begin with, the one that the
// first answer had is asked for.
func TestReadGoesOnWithVersion(t *testing.T) {
	f := newFake(t, cut(7, digits, 3), content(7, digits))
	n, _, err := f.open(1).Read(t.Context(), "x", "", make([]byte, 10), 0)
	if n != 10 || err != nil {
		t.Errorf("got %d bytes, error %v", n, err)
	}
	if got := f.seen[1].URL.Query().Get("generation"); got != "7" {
		t.Errorf("generation is %q", got)
	}
}

func TestReadBroken(t *testing.T) {
	for _, c := range []struct {
		name    string
		retries int
		steps   []http.HandlerFunc
		want    error // nil: io.ErrUnexpectedEOF
	}{
		{"once", 0, []http.HandlerFunc{cut(7, digits, 3)}, nil},
		{"too often", 1, []http.HandlerFunc{cut(7, digits, 3), cut(7, digits, 2)}, nil},
		{"never again", 1, []http.HandlerFunc{cut(7, digits, 3), status(503, "")}, nil},
		{"replaced meanwhile", 1, []http.HandlerFunc{cut(7, digits, 3), status(404, noSuchKey), object(8, 10)}, backends.ErrChanged},
		{"deleted meanwhile", 1, []http.HandlerFunc{cut(7, digits, 3), status(404, noSuchKey), status(404, noSuchObject)}, fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, c.steps...)
			n, _, err := f.open(c.retries).Read(t.Context(), "x", "", make([]byte, 10), 0)
			wantMeaning(t, "read", err, c.want)
			if n == 0 || n == 10 || c.want == nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %d bytes, error %v", n, err)
			}
			f.used()
		})
	}
}

func TestReadVersion(t *testing.T) {
	refused := problem(412, "conditionNotMet", "")
	for _, c := range []struct {
		name, version string
		steps         []http.HandlerFunc
		want          error
	}{
		{"condition refused", "6", []http.HandlerFunc{refused, object(7, 10)}, backends.ErrChanged},
		{"condition refused without an object", "6", []http.HandlerFunc{refused, status(404, noSuchObject)}, fs.ErrNotExist},
		{"condition refused for no reason", "7", []http.HandlerFunc{refused, object(7, 10)}, nil},
		{"condition ignored", "6", []http.HandlerFunc{content(7, digits)}, backends.ErrChanged},
		{"no version of ours", "v", []http.HandlerFunc{object(7, 10)}, backends.ErrChanged},
		{"no generation in the answer", "", []http.HandlerFunc{status(200, digits)}, nil},
		{"grown since the range was refused", "", []http.HandlerFunc{status(416, ""), object(8, 10)}, backends.ErrChanged},
		{"gone since the range was refused", "", []http.HandlerFunc{status(416, ""), status(404, noSuchObject)}, fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, c.steps...)
			_, _, err := f.open(0).Read(t.Context(), "x", c.version, make([]byte, 10), 0)
			wantMeaning(t, "read", err, c.want)
			f.used()
		})
	}
}

func TestReadBeyond(t *testing.T) {
	f := newFake(t, status(416, ""), object(7, 10), object(7, 10))
	b := f.open(0)
	for _, off := range []int64{10, math.MaxInt64} {
		n, obj, err := b.Read(t.Context(), "x", "7", make([]byte, 10), off)
		if n != 0 || obj.Size != 10 || err != nil {
			t.Errorf("at %d: got %d bytes of %+v, error %v", off, n, obj, err)
		}
	}
	if _, _, err := b.Read(t.Context(), "x", "", make([]byte, 10), -1); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("before the beginning: got error %v", err)
	}
	f.used()
}

func TestReadCorrupt(t *testing.T) {
	corrupt := func(w http.ResponseWriter, r *http.Request) {
		contentHeaders(w, 7, digits)
		w.Header().Set("Content-Range", "bytes 0-9/10")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write([]byte("0123456780"))
	}
	packed := func(w http.ResponseWriter, r *http.Request) {
		contentHeaders(w, 7, digits)
		w.Header().Set("X-Goog-Stored-Content-Encoding", "gzip")
		_, _ = w.Write([]byte(digits))
	}
	elsewhere := func(w http.ResponseWriter, r *http.Request) {
		contentHeaders(w, 7, digits)
		w.Header().Set("Content-Range", "bytes 5-9/10")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write([]byte(digits[5:]))
	}
	for _, c := range []struct {
		name string
		step http.HandlerFunc
		size int
	}{
		{"wrong checksum", corrupt, 11}, {"decompressed", packed, 11}, {"another range", elsewhere, 5},
	} {
		f := newFake(t, c.step)
		_, _, err := f.open(0).Read(t.Context(), "x", "", make([]byte, c.size), 0)
		wantMeaning(t, c.name, err, nil)
		f.used()
	}
}
