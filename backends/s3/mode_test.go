package s3

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"testing"

	"orthanc-bucketfs/backends/backendtest/server"
)

// A store that ignores If-None-Match and CRC-32C.
func TestInspectOfAnOldStore(t *testing.T) {
	s := server.GoFakeS3(t)
	w := startWire(t, s.URL)
	b := open(t, configBehind(w, s))
	r := inspected(t, b, "probe-")
	r.want(t, map[string][2]string{
		"checksum":           {"ok", "Content-MD5"},
		"conditional create": {"warn", "If-None-Match"},
		"upload in parts":    {"warn", "If-None-Match"},
		"public access":      {"warn", "without credentials"},
	})
	worksAround(t, b, w)
}

// Stores that refuse what they do not know. Behind the refusal is a real one.
func TestInspectOfStoresThatRefuse(t *testing.T) {
	s := server.GoFakeS3(t)
	for _, c := range []struct {
		status  int
		code    string
		headers []string
		want    mode
	}{
		{http.StatusNotImplemented, "NotImplemented", []string{"If-None-Match"}, mode{lookFirst: true, md5: true}},
		{http.StatusBadRequest, "InvalidArgument", []string{"X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Algorithm"}, mode{lookFirst: true, md5: true}},
		{http.StatusNotImplemented, "NotImplemented", []string{"If-None-Match", "X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Algorithm"}, mode{lookFirst: true, md5: true}},
	} {
		w := startWire(t, s.URL)
		w.around = func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if slices.ContainsFunc(c.headers, func(name string) bool { return r.Header.Get(name) != "" }) {
				refuse(c.status, c.code)(rw, r)
				return
			}
			next.ServeHTTP(rw, r)
		}
		b := open(t, configBehind(w, s))
		inspected(t, b, "probe-").want(t, map[string][2]string{
			"checksum":           {"ok", "Content-MD5"},
			"conditional create": {"warn", "If-None-Match"},
			"upload in parts":    {"warn", "If-None-Match"},
			"public access":      {"warn", ""},
		})
		if b.whole.get() != c.want || b.parts.get() != c.want {
			t.Errorf("%q: got modes %+v and %+v", c.headers, b.whole.get(), b.parts.get())
		}
		worksAround(t, b, w)
	}
}

// As Cloudflare R2, by its documentation: CRC-32C, but not of an object in parts.
func TestInspectOfStoreWithoutChecksumOfParts(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) {
		w := startWire(t, s.URL)
		w.around = func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Header.Get("X-Amz-Checksum-Type") != "" {
				refuse(http.StatusNotImplemented, "NotImplemented")(rw, r)
				return
			}
			next.ServeHTTP(rw, r)
		}
		b := open(t, configBehind(w, s))
		inspected(t, b, "probe-").want(t, map[string][2]string{"checksum": {"ok", "verifies CRC-32C"}, "upload in parts": {"ok", "never"}})
		if whole, parts := b.whole.get(), b.parts.get(); whole != (mode{}) || parts != (mode{md5: true}) {
			t.Errorf("got modes %+v and %+v", whole, parts)
		}
		body := pattern(partThreshold + 1)
		if _, err := b.Create(t.Context(), "x", body); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(body))
		if n, _, err := b.Read(t.Context(), "x", "", got, 0); err != nil || !bytes.Equal(got[:n], body) {
			t.Errorf("got %d bytes, error %v", n, err)
		}
	})
}

// worksAround sees what a bucket sends that has learnt to do without condition
// and CRC-32C, and that it still does not overwrite.
func worksAround(t *testing.T, b *Bucket, w *wire) {
	t.Helper()
	around := w.around
	w.around = func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		part := r.URL.Query().Has("partNumber")
		if r.Method == http.MethodPut && (r.Header.Get("Content-Md5") == "" || r.Header.Get("If-None-Match") != "") {
			t.Errorf("PUT (part: %v) has headers %v", part, r.Header)
		}
		if around != nil {
			around(rw, r, next)
			return
		}
		next.ServeHTTP(rw, r)
	}
	for _, c := range []struct {
		size int
		want []string
	}{
		{1000, []string{"HEAD", "PUT"}},
		{partThreshold + 1, []string{"HEAD", "POST uploadId", "POST uploads", "PUT partNumber", "PUT partNumber", "PUT partNumber"}},
	} {
		w.take()
		body := pattern(c.size)
		if _, err := b.Create(t.Context(), "x", body); err != nil {
			t.Fatal(err)
		}
		if got := w.take(); !slices.Equal(got, c.want) {
			t.Errorf("got requests %q, want %q", got, c.want)
		}
		if _, err := b.Create(t.Context(), "x", make([]byte, c.size)); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Create of a taken key: got error %v, want %v", err, fs.ErrExist)
		}
		got := make([]byte, c.size)
		if n, _, err := b.Read(t.Context(), "x", "", got, 0); err != nil || !bytes.Equal(got[:n], body) {
			t.Errorf("got %d bytes, error %v", n, err)
		}
		if err := b.Delete(t.Context(), "x", ""); err != nil {
			t.Fatal(err)
		}
	}
	wantEmpty(t, b)
}

// Whether a key is taken is not known if the store does not say.
func TestLookThatFails(t *testing.T) {
	for status, want := range map[int]error{http.StatusForbidden: fs.ErrPermission, http.StatusInternalServerError: nil} {
		handle, requests := counted(refuse(status, ""))
		b := fake(t, handle, nil)
		b.whole.set(mode{lookFirst: true})
		wantOnly(t, calls["create"](t.Context(), b), want)
		if n := requests(); n != 1 {
			t.Errorf("%d: got %d requests, want 1", status, n)
		}
	}
}
