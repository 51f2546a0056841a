package attachment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/budget"
)

// File is an open attachment: verified content in memory.
type File struct {
	Info Info

	shelf *shelf
	open  *atomic.Int64 // counts f

	mu     sync.Mutex // guards the fields below
	body   *body
	views  int  // in use
	ended  bool // one of them was of the end
	closed bool
}

var errOtherVersion = fmt.Errorf("%w: it has another version by now", backends.ErrChanged)

// Open fetches, unseals and verifies the attachment that want describes. If
// want has a version, or the object another size, and the bucket no longer
// holds that one, the error wraps backends.ErrChanged. It waits for the budget
// before it fetches. What has been fetched or verified a moment ago is not
// fetched again, nor is what is being fetched, or open: then the bucket is asked
// whether it is still there. The caller closes the File.
func (s *Store) Open(ctx context.Context, want Info) (f *File, err error) {
	op := s.begin(Fetched, want.key())
	defer func() { op.end(want.Size, err) }()
	b, err := s.openBody(ctx, want, op)
	if err != nil {
		return nil, err
	}
	return s.file(b, want), nil
}

func (s *Store) file(b *body, want Info) *File {
	info := b.info
	info.Seen = want.Seen
	s.Counters.Open.Add(1)
	return &File{Info: info, shelf: s.shelf, open: &s.Counters.Open, body: b}
}

// openBody returns a body that the caller releases.
func (s *Store) openBody(ctx context.Context, want Info, op *operation) (b *body, err error) {
	begin := op.begin
	b, fl, isNew := s.shelf.board(want)
	if isNew {
		s.launch(fl)
		if fl.first != nil {
			op.begin = begin.Add(-fl.first.took)
		}
	}
	if fl != nil {
		if b, err = s.await(ctx, fl); err != nil {
			return nil, err
		}
	}
	if isNew || s.shelf.believed(b, want, begin) {
		op.FromMemory = !isNew
		return b, nil
	}
	if err := s.confirm(ctx, want, b); err != nil {
		s.shelf.release(b, false)
		return nil, err
	}
	return b, nil
}

// fetchBody brings the attachment that want describes into memory, of which f,
// if it is not nil, is the beginning.
func (s *Store) fetchBody(ctx context.Context, want Info, f *first) (b *body, err error) {
	if f == nil {
		head, tail := s.codecAt(want.at).Frame()
		f = &first{buf: s.memory.New(budget.Read, head, tail)}
	}
	defer func() {
		if b == nil { // also after a panic
			f.buf.Free()
		}
	}()
	err = f.buf.Fit(ctx, want.Size)
	if err == nil {
		err = context.Cause(ctx) // the grant and the end of the wait may have crossed
	}
	if err != nil {
		return nil, &Error{Op: "open", Key: want.key(), Version: want.Version, Err: err}
	}
	return s.load(ctx, want, f)
}

// openFailed is the error of an open that the bucket has not granted.
func (s *Store) openFailed(want Info, err error) error {
	if errors.Is(err, backends.ErrChanged) || errors.Is(err, fs.ErrNotExist) {
		s.listings.forget(want.UUID)
	}
	if errors.Is(err, fs.ErrNotExist) && want.at.mayMove() {
		err = fmt.Errorf("%w: it is no longer there", backends.ErrChanged) // but perhaps elsewhere
	}
	if !errors.Is(err, context.Canceled) { // which says nothing of what is there
		s.shelf.forget(want.UUID)
	}
	return &Error{Op: "open", Key: want.key(), Version: want.Version, Err: err}
}

// load completes what is in f, and verifies it.
func (s *Store) load(ctx context.Context, want Info, f *first) (*body, error) {
	ctx, cancel := s.timing.Request.bound(ctx, want.Size)
	defer cancel()
	stored := f.buf.Framed()
	obj, seen, err := s.complete(ctx, want, f, stored)
	if err != nil {
		return nil, s.openFailed(want, err)
	}
	codec := s.codecAt(want.at)
	id := keyID(codec, stored) // before Open, which may wipe the bytes
	content, err := codec.Open(want.UUID, obj, stored)
	if err != nil {
		s.shelf.forget(want.UUID)
		return nil, &Error{Op: "open", Key: want.key(), Version: obj.Version, KeyID: id, Err: err}
	}
	info := Info{UUID: want.UUID, Size: want.Size, Modified: obj.Modified, Version: obj.Version, Seen: seen, at: want.at}
	return &body{info: info, seen: seen, buf: f.buf, content: content}, nil
}

// complete fetches what f lacks of the frame p. It was all there when seen says.
func (s *Store) complete(ctx context.Context, want Info, f *first, p []byte) (obj backends.Object, seen time.Time, err error) {
	seen = time.Now()
	switch {
	case !f.fetched():
		obj, err = s.fetch(ctx, want, p)
		return obj, seen, err
	case f.n == len(p):
		return f.obj, f.seen, nil
	}
	n, err := readRest(ctx, s.bucketAt(want.at), want.key(), f.obj.Version, p, f.n)
	if err == nil && f.n+n != len(p) {
		err = fmt.Errorf("%w: %d bytes, expected %d", backends.ErrChanged, f.n+n, len(p))
	}
	return f.obj, seen, err
}

// fetch fills p with the whole object that want describes, which must have
// exactly len(p) bytes.
func (s *Store) fetch(ctx context.Context, want Info, p []byte) (backends.Object, error) {
	n, obj, err := readRanges(ctx, s.bucketAt(want.at), want.key(), want.Version, p)
	if err == nil && (obj.Size != int64(len(p)) || n != len(p)) {
		err = fmt.Errorf("%w: %d bytes, expected %d", backends.ErrChanged, obj.Size, len(p))
	}
	return obj, err
}

// ReadAt copies content from offset off into p and returns how many bytes it
// copied; less than len(p) only at the end of the file. After Close it
// returns 0.
func (f *File) ReadAt(p []byte, off int64) int {
	view := f.View(len(p), off)
	if len(view) == 0 {
		return 0
	}
	defer f.Done()
	return copy(p, view)
}

// View returns n bytes of the content from offset off on, which nobody may
// change; less only at the end of the file, and none after Close. They stay where
// they are until the caller, if there are any, calls Done, also after Close.
func (f *File) View(n int, off int64) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || n <= 0 || off < 0 || off >= int64(len(f.body.content)) {
		return nil
	}
	f.views++
	end := min(off+int64(n), int64(len(f.body.content)))
	f.ended = f.ended || end == int64(len(f.body.content))
	return f.body.content[off:end:end]
}

// Done ends the use of a View.
func (f *File) Done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.views--
	f.giveBack()
}

// Close gives the memory back as soon as no View of it is in use.
func (f *File) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	f.open.Add(-1)
	f.giveBack()
}

func (f *File) giveBack() {
	if f.closed && f.views == 0 {
		f.shelf.release(f.body, f.ended)
		f.body = nil
	}
}
