package azure

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
)

func random(seed uint64, n int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	p := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(p)
	return p
}

func requests(t *testing.T, w *wire, cfg Config) {
	b := openAt(t, cfg, defaultSizes())
	ctx := t.Context()
	want := func(what string, requests ...string) {
		t.Helper()
		if got := w.taken(); !slices.Equal(got, requests) {
			t.Errorf("%s: %d requests %q, want %q", what, len(got), got, requests)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want("Open that creates the container", "PUT")
	openAt(t, cfg, defaultSizes())
	want("Open with the container there", "PUT")
	cfg.CreateContainer = false
	openAt(t, cfg, defaultSizes())
	want("Open")

	body := random(1, 512<<10)
	obj, err := b.Create(ctx, "a/x", body)
	must(err)
	want("Create of 512 KiB", "PUT")
	got := make([]byte, len(body))
	n, _, err := b.Read(ctx, "a/x", "", got, 0)
	must(err)
	want("Read", "GET")
	if !bytes.Equal(got[:n], body) {
		t.Error("Read: wrong bytes")
	}
	_, _, err = b.Read(ctx, "a/x", obj.Version, got[:1000], 70)
	must(err)
	want("Read of a range of a version", "GET")
	_, _, err = b.Read(ctx, "a/x", obj.Version, nil, 0)
	must(err)
	want("Read of nothing", "HEAD")
	_, _, err = b.Read(ctx, "a/x", "", got[:1], int64(len(body))+1)
	must(err)
	want("Read beyond the end", "GET", "HEAD")
	if _, _, err = b.Read(ctx, "a/x", "another", got, 0); !errors.Is(err, backends.ErrChanged) {
		t.Errorf("Read of another version: %v", err)
	}
	want("Read of another version", "GET", "HEAD")
	_, err = b.Stat(ctx, "a/x")
	must(err)
	want("Stat", "HEAD")
	if _, err = b.Create(ctx, "a/x", body); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: %v", err)
	}
	want("second Create", "PUT")
	_, err = b.List(ctx, backends.ListOptions{})
	must(err)
	want("List", "GET list")
	_, err = b.List(ctx, backends.ListOptions{Prefix: "a", Shallow: true, Limit: 10})
	must(err)
	want("shallow List", "GET list")
	must(b.Delete(ctx, "a/x", ""))
	want("Delete", "DELETE")
	must(b.Delete(ctx, "a/x", ""))
	want("Delete of nothing", "DELETE")
	if _, _, err = b.Read(ctx, "a/x", "", got, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of nothing: %v", err)
	}
	want("Read of a missing object", "GET")
}

func requestsOfLargeObjects(t *testing.T, w *wire, cfg Config) {
	b := openAt(t, cfg, defaultSizes())
	w.taken()
	for _, c := range []struct {
		size int
		want []string
	}{
		{16 << 20, []string{"PUT"}},
		{16<<20 + 1, []string{"PUT block", "PUT block", "PUT block", "PUT blocklist"}},
	} {
		body := random(2, c.size)
		if _, err := b.Create(t.Context(), "x", body); err != nil {
			t.Fatal(err)
		}
		if got := w.taken(); !slices.Equal(got, c.want) {
			t.Errorf("Create of %d bytes: requests %q, want %q", c.size, got, c.want)
		}
		got := make([]byte, c.size+1)
		n, obj, err := b.Read(t.Context(), "x", "", got, 0)
		if err != nil || !bytes.Equal(got[:n], body) || obj.Size != int64(c.size) {
			t.Errorf("Read: %d bytes of %d, Size %d, error %v", n, c.size, obj.Size, err)
		}
		if got := w.taken(); !slices.Equal(got, []string{"GET"}) {
			t.Errorf("Read of %d bytes: requests %q", c.size, got)
		}
		if _, err := b.Create(t.Context(), "x", body); !errors.Is(err, fs.ErrExist) {
			t.Errorf("second Create of %d bytes: %v", c.size, err)
		}
		if err := b.Delete(t.Context(), "x", ""); err != nil {
			t.Fatal(err)
		}
		w.taken()
	}
}

func missingContainer(t *testing.T, _ *wire, cfg Config) {
	cfg.CreateContainer = false
	b := openAt(t, cfg, defaultSizes())
	for op, err := range everyCall(t.Context(), b) {
		wantNone(t, op, err)
		if err == nil || !strings.Contains(err.Error(), "container "+cfg.Container+" does not exist") {
			t.Errorf("%s: error %v does not say that the container is missing", op, err)
		}
	}
}

func wrongKey(t *testing.T, _ *wire, cfg Config) {
	openAt(t, cfg, defaultSizes())
	cfg.CreateContainer = false
	wrong := strings.Replace(cfg.ConnectionString.Reveal(), "Eby8", "Aby8", 1)
	cfg.ConnectionString = backends.NewSecret(wrong)
	b := openAt(t, cfg, defaultSizes())
	for op, err := range everyCall(t.Context(), b) {
		wantOnly(t, op, err, fs.ErrPermission)
	}
}

func accessTier(t *testing.T, _ *wire, cfg Config) {
	tierOf := func(b *Bucket, key string) (string, bool) {
		resp, err := b.client.NewBlobClient(key).GetProperties(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return deref(resp.AccessTier), resp.AccessTierInferred != nil && *resp.AccessTierInferred
	}
	for _, sz := range []sizes{defaultSizes(), small()} {
		for _, tier := range []string{"", "Cool"} {
			cfg.AccessTier = tier
			b := openAt(t, cfg, sz)
			if _, err := b.Create(t.Context(), "x", random(1, 2<<10)); err != nil {
				t.Fatal(err)
			}
			got, inferred := tierOf(b, "x")
			if tier != "" && got != tier || inferred != (tier == "") {
				t.Errorf("access_tier %q: object is %q, inferred %v", tier, got, inferred)
			}
			if err := b.Delete(t.Context(), "x", ""); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// flip changes one byte of a body on its way, and no header.
type flip struct {
	io.ReadCloser
	done bool
}

func (f *flip) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if n > 0 && !f.done {
		p[n-1] ^= 1
		f.done = true
	}
	return n, err
}

// damaging changes bodies of requests, answers, or both.
type damaging struct {
	http.RoundTripper
	requests, answers bool
}

func (d *damaging) RoundTrip(req *http.Request) (*http.Response, error) {
	if d.requests && req.Body != nil {
		req = req.WithContext(req.Context())
		req.Body = &flip{ReadCloser: req.Body}
	}
	resp, err := d.RoundTripper.RoundTrip(req)
	if err == nil && d.answers && resp.StatusCode < 300 {
		resp.Body = &flip{ReadCloser: resp.Body}
	}
	return resp, err
}

func damageOnTheWay(t *testing.T, w *wire, cfg Config) {
	d := &damaging{RoundTripper: http.DefaultTransport}
	w.proxy.Transport = d
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	for _, sz := range []sizes{defaultSizes(), small()} {
		b := openAt(t, cfg, sz)
		d.requests = true
		_, err := b.Create(t.Context(), "x", random(1, 100_000))
		d.requests = false
		wantNone(t, "Create of what is damaged on the way", err)
		if err == nil || !strings.Contains(err.Error(), "Md5Mismatch") {
			t.Errorf("Create of what is damaged on the way: %v", err)
		}
		if _, err := b.Stat(t.Context(), "x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Stat of what was damaged on the way: %v", err)
		}
	}
	b := openAt(t, cfg, defaultSizes())
	body := random(1, 5<<20)
	if _, err := b.Create(t.Context(), "x", body); err != nil {
		t.Fatal(err)
	}
	d.answers = true
	for _, r := range []struct{ off, n int }{{0, len(body)}, {0, len(body) + 1}, {0, 1000}, {1000, 4 << 20}, {5 << 20, 1}} {
		n, _, err := b.Read(t.Context(), "x", "", make([]byte, r.n), int64(r.off))
		if n > 0 && !errors.Is(err, errDamaged) {
			t.Errorf("Read of %d at %d, damaged on the way: %d bytes, error %v", r.n, r.off, n, err)
		}
	}
}

func blocksOfFailedUploads(t *testing.T, w *wire, cfg Config) {
	b := openAt(t, cfg, small())
	w.refuse("PUT blocklist")
	body := random(1, 2<<20)
	_, err := b.Create(t.Context(), "d/x", body)
	wantOnly(t, "Create", err, fs.ErrPermission)
	w.refuse("")
	if _, err := b.Stat(t.Context(), "d/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat: %v", err)
	}
	if _, _, err := b.Read(t.Context(), "d/x", "", make([]byte, 1), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read: %v", err)
	}
	for _, shallow := range []bool{false, true} {
		page, err := b.List(t.Context(), backends.ListOptions{Shallow: shallow})
		if err != nil || len(page.Objects)+len(page.Prefixes) > 0 {
			t.Errorf("List, shallow %v: %+v, error %v", shallow, page, err)
		}
	}
	if _, err := b.Create(t.Context(), "d/x", body); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(body))
	if _, _, err := b.Read(t.Context(), "d/x", "", got, 0); err != nil || !bytes.Equal(got, body) {
		t.Errorf("Read of the object stored after a failed upload: error %v", err)
	}
}
