package gcs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/retry"
)

// parts returns the metadata and the body of an upload in one request.
func parts(t *testing.T, r *http.Request) (metadata, body []byte) {
	t.Helper()
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	reader := multipart.NewReader(r.Body, params["boundary"])
	var got [2][]byte
	for i := range got {
		part, err := reader.NextPart()
		if err != nil {
			t.Error(err)
			return nil, nil
		}
		if got[i], err = io.ReadAll(part); err != nil {
			t.Error(err)
		}
	}
	return got[0], got[1]
}

// TestCreateAgain wants a retry to send the same bytes on the same condition.
func TestCreateAgain(t *testing.T) {
	body := bytes.Repeat([]byte(digits), 100_000)
	check := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if got := r.URL.Query().Get("ifGenerationMatch"); got != "0" {
				t.Errorf("ifGenerationMatch is %q", got)
			}
			metadata, got := parts(t, r)
			if !bytes.Equal(got, body) {
				t.Errorf("got %d bytes that are not the body", len(got))
			}
			if !bytes.Contains(metadata, []byte(fmt.Sprintf("%q:%q", "crc32c", checksum(body)))) {
				t.Errorf("metadata is %s", metadata)
			}
			answer(w, r)
		}
	}
	f := newFake(t, check(status(503, "")), check(made(string(body))))
	if _, err := f.open(1).Create(t.Context(), "x", body); err != nil {
		t.Error(err)
	}
	f.used()
}

// TestCreateCopiesNothing compares all memory that client and server take with
// the size of the body, which is sent twice.
func TestCreateCopiesNothing(t *testing.T) {
	const size = 16 << 20
	body := make([]byte, size)
	f := newFake(t, status(503, ""), made(string(body)))
	b := f.open(1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := b.Create(t.Context(), "x", body); err != nil {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > size/4 {
		t.Errorf("Create has taken %d bytes of memory for a body of %d", got, size)
	}
	f.used()
}

// TestCreateRefusedLate: the first attempt may have stored the object.
func TestCreateRefusedLate(t *testing.T) {
	f := newFake(t, reset, problem(403, "forbidden", "no access"))
	_, err := f.open(1).Create(t.Context(), "x", []byte("body"))
	wantMeaning(t, "create", err, nil)
	f.used()
}

func TestCreateStoredElse(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"other bytes": made("ydob"), "other size": made("bodybody"), "no generation": status(200, `{"size":"4","crc32c":"`+checksum([]byte("body"))+`"}`),
	} {
		f := newFake(t, answer)
		_, err := f.open(0).Create(t.Context(), "x", []byte("body"))
		wantMeaning(t, name, err, nil)
	}
}

// TestBodyGivenBack: nobody reads a body once the call has ended.
func TestBodyGivenBack(t *testing.T) {
	_, c := follow(t.Context(), new(retry.Budget))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1", strings.NewReader(digits))
	if err != nil {
		t.Fatal(err)
	}
	guarded := c.guard(req)
	again, err := guarded.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []io.Reader{guarded.Body, again} {
		if n, err := body.Read(make([]byte, 3)); n != 3 || err != nil {
			t.Errorf("before the end: got %d bytes, error %v", n, err)
		}
	}
	c.end()
	for _, body := range []io.Reader{guarded.Body, again} {
		if n, err := body.Read(make([]byte, 3)); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("after the end: got %d bytes, error %v", n, err)
		}
	}
}

// TestBodyGivenBackByCreate reads what net/http might still be reading from.
func TestBodyGivenBackByCreate(t *testing.T) {
	f := newFake(t, session, status(499, ""))
	b := f.open(0)
	b.largestSingle, b.uploadPiece = 0, 256<<10
	k := &keeper{next: b.base}
	b.client.Transport = follower{k}
	if err := b.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), "x", make([]byte, 300<<10)); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got error %v", err)
	}
	if k.kept == nil {
		t.Fatal("no piece was sent")
	}
	if n, err := k.kept.Read(make([]byte, 3)); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("after the call: got %d bytes, error %v", n, err)
	}
}

// keeper fails when a piece is sent to an upload session, and keeps its body.
type keeper struct {
	next http.RoundTripper
	kept io.Reader
}

func (k *keeper) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil || !req.URL.Query().Has("upload_id") {
		return k.next.RoundTrip(req)
	}
	k.kept = req.Body
	return nil, io.ErrNoProgress
}

func more(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("X-Http-Status-Code-Override", "308")
}

func TestSessionCancelled(t *testing.T) {
	dropped := func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete || r.URL.Query().Get("upload_id") != "s3cret" {
			t.Errorf("got %s %s", r.Method, r.URL)
		}
		w.WriteHeader(499)
	}
	for _, c := range []struct {
		name  string
		steps []http.HandlerFunc
		want  error
	}{
		{"no session", []http.HandlerFunc{status(500, "")}, nil},
		{"first piece refused", []http.HandlerFunc{session, problem(400, "invalid", "no"), dropped}, nil},
		{"first piece reset", []http.HandlerFunc{session, reset, dropped}, nil},
		{"second piece reset", []http.HandlerFunc{session, more, reset, dropped}, nil},
		{"session gone", []http.HandlerFunc{session, more, status(410, ""), dropped}, nil},
		{"session unknown", []http.HandlerFunc{session, more, status(404, "Not Found"), dropped}, nil},
		{"refused in the middle", []http.HandlerFunc{session, problem(403, "forbidden", ""), dropped}, nil},
		{"object exists", []http.HandlerFunc{session, more, problem(412, "conditionNotMet", "")}, fs.ErrExist},
		{"object exists at once", []http.HandlerFunc{problem(412, "conditionNotMet", "")}, fs.ErrExist},
		{"refused at once", []http.HandlerFunc{problem(403, "forbidden", "")}, fs.ErrPermission},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, c.steps...)
			b := f.open(0)
			b.largestSingle, b.uploadPiece = 0, 256<<10
			_, err := b.Create(t.Context(), "x", make([]byte, 300<<10))
			wantMeaning(t, "create", err, c.want)
			wantNoSession(t, err)
			f.used()
		})
	}
}

// wantNoSession reports an error that tells the key to an upload session.
func wantNoSession(t *testing.T, err error) {
	t.Helper()
	var e *backends.Error
	if errors.As(err, &e) && (e.RequestID == "s3cret" || strings.Contains(e.Error(), "s3cret")) {
		t.Errorf("error tells the key to the session: %v", err)
	}
}

func TestSessionGoesOn(t *testing.T) {
	body := bytes.Repeat([]byte(digits), 50_000)
	var got []byte
	take := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			piece, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			got = append(got, piece...)
			answer(w, r)
		}
	}
	f := newFake(t, status(503, ""), session, status(503, ""), take(more), take(made(string(body))))
	b := f.open(2)
	b.largestSingle, b.uploadPiece = 0, 256<<10
	if _, err := b.Create(t.Context(), "x", body); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(got, body) {
		t.Errorf("got %d bytes that are not the body", len(got))
	}
	f.used()
}
