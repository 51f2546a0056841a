package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/server"
)

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)
	}
	return p
}

func TestRequestCounts(t *testing.T) {
	onEach(t, requestCounts)
}

func requestCounts(t *testing.T, s server.S3) {
	w := startWire(t, s.URL)
	b := open(t, configBehind(w, s))
	ctx := t.Context()
	body := pattern(512 << 10)
	var obj backends.Object
	read := func(version string, n int, off int64) func() error {
		return func() error {
			_, _, err := b.Read(ctx, "d/x", version, make([]byte, n), off)
			return err
		}
	}
	list := func(opts backends.ListOptions) func() error {
		return func() error { _, err := b.List(ctx, opts); return err }
	}
	for _, c := range []struct {
		name string
		call func() error
		err  error
		want []string
	}{
		{"stat of nothing", func() error { _, err := b.Stat(ctx, "d/x"); return err }, fs.ErrNotExist, []string{"HEAD"}},
		{"create", func() (err error) { obj, err = b.Create(ctx, "d/x", body); return err }, nil, []string{"PUT"}},
		// Small, because the gateway refuses it before it has read the body, and
		// then closes the connection.
		{"create again", func() error { _, err := b.Create(ctx, "d/x", body[:1000]); return err }, fs.ErrExist, []string{"PUT"}},
		{"first read", read("", len(body), 0), nil, []string{"GET"}},
		{"read of a range", read("", 100, 1000), nil, []string{"GET"}},
		{"read of a version", func() error { return read(obj.Version, len(body), 0)() }, nil, []string{"GET"}},
		{"read of another version", read("other", len(body), 0), backends.ErrChanged, []string{"GET"}},
		{"read of no bytes", read("", 0, 0), nil, []string{"HEAD"}},
		{"read beyond the end", read("", 1, 1<<30), nil, []string{"GET", "HEAD"}},
		{"stat", func() error { _, err := b.Stat(ctx, "d/x"); return err }, nil, []string{"HEAD"}},
		{"page", list(backends.ListOptions{Prefix: "d/"}), nil, []string{"GET list-type"}},
		{"shallow page", list(backends.ListOptions{Shallow: true}), nil, []string{"GET list-type"}},
		{"delete", func() error { return b.Delete(ctx, "d/x", "") }, nil, []string{"DELETE"}},
		{"delete of nothing", func() error { return b.Delete(ctx, "d/x", "") }, nil, []string{"DELETE"}},
		{"create at the threshold", func() error { _, err := b.Create(ctx, "t", pattern(partThreshold)); return err }, nil, []string{"PUT"}},
		{"create in parts", func() error { _, err := b.Create(ctx, "l", pattern(partThreshold+1)); return err }, nil,
			[]string{"POST uploadId", "POST uploads", "PUT partNumber", "PUT partNumber", "PUT partNumber"}},
		{"create in parts again", func() error { _, err := b.Create(ctx, "l", pattern(partThreshold+1)); return err }, fs.ErrExist,
			[]string{"DELETE uploadId", "POST uploadId", "POST uploads", "PUT partNumber", "PUT partNumber", "PUT partNumber"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.take()
			if err := c.call(); !errors.Is(err, c.err) {
				t.Errorf("got error %v, want %v", err, c.err)
			}
			if got := w.take(); !slices.Equal(got, c.want) {
				t.Errorf("got requests %q, want %q", got, c.want)
			}
		})
	}
	wantNoUploads(t, b)
}

// wantNoUploads reports multipart uploads that the store still knows.
func wantNoUploads(t *testing.T, b *Bucket) {
	t.Helper()
	out, err := b.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &b.cfg.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Uploads) > 0 {
		t.Errorf("%d multipart uploads are left", len(out.Uploads))
	}
}

func wantMissing(t *testing.T, b *Bucket, key string) {
	t.Helper()
	if _, err := b.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat: got error %v, want %v", err, fs.ErrNotExist)
	}
}

// secondPartLast answers the second of three parts itself, after the store has
// answered the others: what an abort does to a part under way, no store tells.
func secondPartLast(answer http.HandlerFunc) func(http.ResponseWriter, *http.Request, http.Handler) {
	var others sync.WaitGroup
	others.Add(2)
	return func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		switch r.URL.Query().Get("partNumber") {
		case "1", "3":
			defer others.Done()
		case "2":
			others.Wait()
			answer(rw, r)
			return
		}
		next.ServeHTTP(rw, r)
	}
}

func TestPartRefused(t *testing.T) { onEach(t, partRefused) }

func partRefused(t *testing.T, s server.S3) {
	w := startWire(t, s.URL)
	b := open(t, configBehind(w, s))
	w.around = secondPartLast(refuse(http.StatusInternalServerError, ""))
	_, err := b.Create(t.Context(), "x", pattern(partThreshold+1))
	wantOnly(t, err, nil)
	wantMissing(t, b, "x")
	wantNoUploads(t, b)
}

func TestPartCancelled(t *testing.T) { onEach(t, partCancelled) }

func partCancelled(t *testing.T, s server.S3) {
	w := startWire(t, s.URL)
	b := open(t, configBehind(w, s))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.around = secondPartLast(func(http.ResponseWriter, *http.Request) { cancel() })
	_, err := b.Create(ctx, "x", pattern(partThreshold+1))
	wantOnly(t, err, context.Canceled)
	wantMissing(t, b, "x")
	wantNoUploads(t, b)
}

// Somebody takes the key after the parts have been sent.
func TestCompletionIsConditional(t *testing.T) { onEach(t, completionIsConditional) }

func completionIsConditional(t *testing.T, s server.S3) {
	w := startWire(t, s.URL)
	b, other := open(t, configBehind(w, s)), open(t, configFor(s))
	first := pattern(1000)
	w.around = func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if kind(r) == "POST uploadId" {
			if _, err := other.Create(t.Context(), "x", first); err != nil {
				t.Errorf("Create: %v", err)
			}
		}
		next.ServeHTTP(rw, r)
	}
	_, err := b.Create(t.Context(), "x", pattern(partThreshold+1))
	wantOnly(t, err, fs.ErrExist)
	got := make([]byte, 2000)
	n, _, err := b.Read(t.Context(), "x", "", got, 0)
	if err != nil || !bytes.Equal(got[:n], first) {
		t.Errorf("Read: got %d bytes, error %v", n, err)
	}
	wantNoUploads(t, b)
}

// damaged changes one bit of a body.
type damaged struct {
	io.ReadCloser
	done bool
}

func (d *damaged) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if n > 0 && !d.done {
		p[0] ^= 1
		d.done = true
	}
	return n, err
}

func TestDamageOnTheWayUp(t *testing.T) { onEach(t, damageOnTheWayUp) }

func damageOnTheWayUp(t *testing.T, s server.S3) {
	w := startWire(t, s.URL)
	b := open(t, configBehind(w, s))
	body := pattern(100_000)
	w.around = func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		r.Body = &damaged{ReadCloser: r.Body}
		next.ServeHTTP(rw, r)
	}
	_, err := b.Create(t.Context(), "x", body)
	wantOnly(t, err, nil)
	wantMissing(t, b, "x")
}

// MinIO tells no checksum for a range, as Amazon S3 does not.
func TestDamageOnTheWayDown(t *testing.T) {
	s := server.Versity(t)
	w := startWire(t, s.URL)
	b := open(t, configBehind(w, s))
	body := pattern(100_000)
	if _, err := b.Create(t.Context(), "x", body); err != nil {
		t.Fatal(err)
	}
	w.response = func(r *http.Response) error {
		r.Body = &damaged{ReadCloser: r.Body}
		return nil
	}
	_, _, err := b.Read(t.Context(), "x", "", make([]byte, len(body)), 0)
	wantOnly(t, err, errChecksum)
}
