package backendtest

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"

	"orthanc-bucketfs/backends"
)

func describedAlike(p probe) {
	body := newBody(1, 1000)
	created := p.create("x", body)
	if created.Key != p.key("x") || created.Size != 1000 || created.Version == "" || created.Modified.IsZero() {
		p.Errorf("Create: got %+v", created)
	}
	stat, err := p.bucket.Stat(p.Context(), p.key("x"))
	if err != nil {
		p.Fatalf("Stat: %v", err)
	}
	p.wantSame("Stat", stat, created)
	got, read, err := p.read("x", len(body))
	if err != nil || !bytes.Equal(got, body) {
		p.Fatalf("Read: %d bytes, error %v", len(got), err)
	}
	p.wantSame("Read", read, created)
	page, err := p.bucket.List(p.Context(), backends.ListOptions{Prefix: p.key("x")})
	if err != nil || len(page.Objects) != 1 {
		p.Fatalf("List: %d objects, error %v", len(page.Objects), err)
	}
	p.wantSame("List", page.Objects[0], created)
}

func ranges(p probe) {
	body := newBody(1, 1000)
	obj := p.create("x", body)
	for _, r := range []struct{ off, n, want int }{
		{0, 1000, 1000},
		{0, 1, 1},
		{0, 999, 999},
		{0, 1001, 1000},
		{0, 5000, 1000},
		{1, 1, 1},
		{333, 100, 100},
		{999, 1, 1},
		{999, 10, 1},
		{500, 500, 500},
		{500, 501, 500},
		{1000, 1, 0},
		{1001, 1, 0},
		{1 << 40, 10, 0},
		{0, 0, 0},
		{500, 0, 0},
		{1000, 0, 0},
		{5000, 0, 0},
	} {
		buf := make([]byte, r.n)
		n, got, err := p.bucket.Read(p.Context(), p.key("x"), "", buf, int64(r.off))
		if err != nil || n != r.want {
			p.Errorf("Read of %d at %d: got %d bytes, error %v, want %d", r.n, r.off, n, err, r.want)
			continue
		}
		if n > 0 && !bytes.Equal(buf[:n], body[r.off:r.off+n]) {
			p.Errorf("Read of %d at %d: wrong bytes", r.n, r.off)
		}
		p.wantSame("Read", got, obj)
	}
}

func empty(p probe) {
	obj := p.create("x", nil)
	p.wantBody("x", nil)
	for _, off := range []int64{0, 1} {
		for _, size := range []int{0, 1} {
			n, got, err := p.bucket.Read(p.Context(), p.key("x"), obj.Version, make([]byte, size), off)
			if n != 0 || err != nil {
				p.Errorf("Read of %d at %d: got %d bytes, error %v", size, off, n, err)
			}
			p.wantSame("Read", got, obj)
		}
	}
	_, err := p.bucket.Create(p.Context(), p.key("x"), newBody(1, 100))
	p.wantErr("Create over an empty object", err, fs.ErrExist)
	if objects, _ := p.list(backends.ListOptions{}); len(objects) != 1 {
		p.Errorf("List: got %q", objects)
	}
}

func versionPin(p probe) {
	const rounds = 20
	versions := make(map[string]bool)
	stale := ""
	for i := range rounds {
		body := newBody(uint64(i), 100)
		obj := p.create("x", body)
		if versions[obj.Version] {
			p.Errorf("round %d: version %q has been seen before", i, obj.Version)
		}
		versions[obj.Version] = true
		p.wantPinned(obj, stale, body)
		p.delete("x")
		stale = obj.Version
	}
	_, _, err := p.bucket.Read(p.Context(), p.key("x"), stale, make([]byte, 10), 0)
	p.wantErr("Read of a version that was deleted", err, fs.ErrNotExist)
}

// wantPinned reads obj by its version, and by that of an object before it.
func (p probe) wantPinned(obj backends.Object, stale string, body []byte) {
	p.Helper()
	buf := make([]byte, 10)
	n, got, err := p.bucket.Read(p.Context(), obj.Key, obj.Version, buf, 50)
	if err != nil || !bytes.Equal(buf[:n], body[50:60]) {
		p.Errorf("Read of the current version: got %d bytes, error %v", n, err)
	}
	p.wantSame("Read", got, obj)
	if stale == "" {
		return
	}
	for _, off := range []int64{0, 50, 100, 1000} {
		for _, size := range []int{0, 10} {
			_, _, err = p.bucket.Read(p.Context(), obj.Key, stale, make([]byte, size), off)
			p.wantErr("Read of a stale version", err, backends.ErrChanged)
		}
	}
}

func neverOverwrites(p probe) {
	body := newBody(1, 1000)
	obj := p.create("x", body)
	for i, other := range [][]byte{newBody(2, 1000), newBody(3, 2000), newBody(4, 500), nil, body} {
		_, err := p.bucket.Create(p.Context(), p.key("x"), other)
		p.wantErr("Create over an object", err, fs.ErrExist)
		p.wantBody("x", body)
		stat, err := p.bucket.Stat(p.Context(), p.key("x"))
		if err != nil {
			p.Errorf("Stat after Create %d: %v", i, err)
			continue
		}
		p.wantSame("Stat", stat, obj)
	}
}

func callersBody(p probe) {
	want := newBody(1, 100_000)
	body := bytes.Clone(want)
	p.create("x", body)
	if !bytes.Equal(body, want) {
		p.Errorf("Create has changed the body")
	}
	clear(body)
	p.wantBody("x", want)
}

func missing(p probe) {
	p.wantMissing("x")
	_, _, err := p.bucket.Read(p.Context(), p.key("x"), "v", make([]byte, 1), 0)
	p.wantErr("Read of a version of a missing object", err, fs.ErrNotExist)
	_, _, err = p.bucket.Read(p.Context(), p.key("x"), "", nil, 0)
	p.wantErr("Read of nothing of a missing object", err, fs.ErrNotExist)
	p.create("dir/x", newBody(1, 100))
	for _, name := range []string{"dir", "dir/x/y", "dir/x/y/z", "dir/X", "di"} {
		p.wantMissing(name)
	}
	p.wantBody("dir/x", newBody(1, 100))
}

func deletes(p probe) {
	p.delete("never")
	p.delete("never/there")
	p.create("dir/x", newBody(1, 100))
	p.create("dir/y", newBody(2, 100))
	p.delete("dir")
	p.delete("dir/x/below")
	p.wantBody("dir/x", newBody(1, 100))
	p.delete("dir/x")
	p.wantMissing("dir/x")
	p.delete("dir/x")
	p.wantBody("dir/y", newBody(2, 100))
	if objects, _ := p.list(backends.ListOptions{}); len(objects) != 1 {
		p.Errorf("List after Delete: got %q", objects)
	}
	p.create("dir/x", newBody(3, 100))
	p.wantBody("dir/x", newBody(3, 100))
}

// errorContext wants every error to be a *backends.Error. Its key may be
// longer than the caller's: a wrapper may have put a prefix before it.
func errorContext(p probe) {
	p.create("x", newBody(1, 100))
	key, gone := p.key("x"), p.key("gone")
	_, createErr := p.bucket.Create(p.Context(), key, nil)
	_, statErr := p.bucket.Stat(p.Context(), gone)
	_, _, readErr := p.bucket.Read(p.Context(), gone, "", nil, 0)
	_, invalidErr := p.bucket.Stat(p.Context(), "a//b")
	for _, c := range []struct {
		op  Op
		key string
		err error
	}{
		{OpCreate, key, createErr},
		{OpStat, gone, statErr},
		{OpRead, gone, readErr},
		{OpStat, "a//b", invalidErr},
	} {
		var got *backends.Error
		if !errors.As(c.err, &got) {
			p.Errorf("%s %q: error %v is no *backends.Error", c.op, c.key, c.err)
			continue
		}
		if got.Op != string(c.op) || !strings.HasSuffix(got.Key, c.key) {
			p.Errorf("%s %q: error tells of %s %q", c.op, c.key, got.Op, got.Key)
		}
	}
}
