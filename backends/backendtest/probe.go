package backendtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"sync"
	"time"

	"orthanc-bucketfs/backends"
)

const (
	headerSize = 16      // seed and size, at the start of a body
	largeSize  = 9 << 20 // more than one part of any store's multipart upload
)

// newBody returns n bytes, at least headerSize, that differ for every seed
// and tell by themselves whether they are whole.
func newBody(seed uint64, n int) []byte {
	body := make([]byte, n)
	binary.LittleEndian.PutUint64(body, seed)
	binary.LittleEndian.PutUint64(body[8:], uint64(n))
	var key [32]byte
	copy(key[:], body[:headerSize])
	_, _ = rand.NewChaCha8(key).Read(body[headerSize:])
	return body
}

// whole tells whether p is exactly one body.
func whole(p []byte) bool {
	if len(p) < headerSize || binary.LittleEndian.Uint64(p[8:]) != uint64(len(p)) {
		return false
	}
	return bytes.Equal(p, newBody(binary.LittleEndian.Uint64(p), len(p)))
}

// create stores an object that must not be there yet.
func (p probe) create(name string, body []byte) backends.Object {
	p.Helper()
	obj, err := p.bucket.Create(p.Context(), p.key(name), body)
	if err != nil {
		p.Fatalf("Create %q: %v", name, err)
	}
	return obj
}

func (p probe) delete(name string) {
	p.Helper()
	if err := p.bucket.Delete(p.Context(), p.key(name), ""); err != nil {
		p.Fatalf("Delete %q: %v", name, err)
	}
}

// read returns the bytes of an object of at most limit bytes.
func (p probe) read(name string, limit int) ([]byte, backends.Object, error) {
	buf := make([]byte, limit+1)
	n, obj, err := p.bucket.Read(p.Context(), p.key(name), "", buf, 0)
	return buf[:n], obj, err
}

// wantBody reports any difference between body and what the bucket holds.
func (p probe) wantBody(name string, body []byte) {
	p.Helper()
	got, obj, err := p.read(name, len(body))
	switch {
	case err != nil:
		p.Errorf("Read %q: %v", name, err)
	case !bytes.Equal(got, body):
		p.Errorf("Read %q: got %d bytes that are not the %d stored", name, len(got), len(body))
	case obj.Size != int64(len(body)):
		p.Errorf("Read %q: Size is %d, want %d", name, obj.Size, len(body))
	}
}

// wantMissing reports an object that the bucket shows, or an error other than
// fs.ErrNotExist for its absence.
func (p probe) wantMissing(name string) {
	p.Helper()
	_, err := p.bucket.Stat(p.Context(), p.key(name))
	p.wantErr("Stat of missing "+name, err, fs.ErrNotExist)
	n, _, err := p.bucket.Read(p.Context(), p.key(name), "", make([]byte, 1), 0)
	p.wantErr("Read of missing "+name, err, fs.ErrNotExist)
	if n != 0 {
		p.Errorf("Read of missing %q: got %d bytes", name, n)
	}
}

// wantErr reports an error that is not want, or is another sentinel as well.
func (p probe) wantErr(what string, err, want error) {
	p.Helper()
	if !errors.Is(err, want) {
		p.Errorf("%s: got error %v, want %v", what, err, want)
		return
	}
	for _, other := range []error{
		fs.ErrExist, fs.ErrNotExist, fs.ErrPermission,
		backends.ErrChanged, backends.ErrInvalidKey,
	} {
		if other != want && errors.Is(err, other) {
			p.Errorf("%s: error %v is %v as well", what, err, other)
		}
	}
}

// wantSame reports a difference between two descriptions of one object. Times
// may differ by less than a second: stores round them differently in answers
// of different kinds.
func (p probe) wantSame(what string, got, want backends.Object) {
	p.Helper()
	if got.Key != want.Key || got.Size != want.Size || got.Version != want.Version {
		p.Errorf("%s: got %+v, want %+v", what, got, want)
	}
	if got.Modified.Sub(want.Modified).Abs() >= time.Second {
		p.Errorf("%s: Modified is %v, want %v", what, got.Modified, want.Modified)
	}
}

// list returns all entries that opts select, with names relative to the
// probe's own part of the bucket.
func (p probe) list(opts backends.ListOptions) (objects, prefixes []string) {
	p.Helper()
	const tooMany = 1000
	opts.Prefix = p.key(opts.Prefix)
	for range tooMany {
		page, err := p.bucket.List(p.Context(), opts)
		if err != nil {
			p.Fatalf("List %+v: %v", opts, err)
		}
		for _, obj := range page.Objects {
			objects = append(objects, p.name(obj.Key))
		}
		for _, prefix := range page.Prefixes {
			prefixes = append(prefixes, p.name(prefix))
		}
		if n := len(page.Objects) + len(page.Prefixes); opts.Limit > 0 && n > opts.Limit {
			p.Errorf("List %+v: got %d entries", opts, n)
		}
		if page.Next == "" {
			return objects, prefixes
		}
		opts.Token = page.Next
	}
	p.Fatalf("List %+v: no end after %d pages", opts, tooMany)
	return nil, nil
}

// together starts all calls at one moment, and returns when they have ended.
func together(calls ...func()) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for _, call := range calls {
		wg.Go(func() {
			<-start
			call()
		})
	}
	close(start)
	wg.Wait()
}
