package attachment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/memory"
)

// File is an open attachment: verified content in memory.
type File struct {
	Info Info

	mu      sync.RWMutex // Close must not overtake a ReadAt
	buf     *memory.Buffer
	content []byte // nil after Close
}

// Open fetches, unseals and verifies the attachment that want describes. If
// want has a version, or the object another size, and the bucket no longer
// holds that one, the error wraps backends.ErrChanged. It waits for the budget
// before it fetches. The caller closes the File.
func (s *Store) Open(ctx context.Context, want Info) (f *File, err error) {
	head, tail := s.codecAt(want.at).Frame()
	buf := memory.New(s.budget, head, tail)
	defer func() {
		if f == nil { // also after a panic
			buf.Free()
		}
	}()
	if err := buf.Allocate(ctx, want.Size); err != nil {
		return nil, &Error{Op: "open", Key: want.key(), Version: want.Version, Err: err}
	}
	return s.load(ctx, want, buf)
}

func (s *Store) load(ctx context.Context, want Info, buf *memory.Buffer) (*File, error) {
	ctx, cancel := s.timing.Request.bound(ctx, want.Size)
	defer cancel()
	stored := buf.Framed()
	obj, err := s.fetch(ctx, want, stored)
	if errors.Is(err, backends.ErrChanged) || errors.Is(err, fs.ErrNotExist) {
		s.listings.forget(want.UUID)
	}
	if errors.Is(err, fs.ErrNotExist) && want.at.mayMove() {
		err = fmt.Errorf("%w: it is no longer there", backends.ErrChanged) // but perhaps elsewhere
	}
	if err != nil {
		s.recent.forget(want.UUID)
		return nil, &Error{Op: "open", Key: want.key(), Version: want.Version, Err: err}
	}
	codec := s.codecAt(want.at)
	id := keyID(codec, stored) // before Open, which may wipe the bytes
	content, err := codec.Open(want.UUID, obj, stored)
	if err != nil {
		return nil, &Error{Op: "open", Key: want.key(), Version: obj.Version, KeyID: id, Err: err}
	}
	info := Info{UUID: want.UUID, Size: want.Size, Modified: obj.Modified, Version: obj.Version, Seen: want.Seen, at: want.at}
	return &File{Info: info, buf: buf, content: content}, nil
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
	f.mu.RLock()
	defer f.mu.RUnlock()
	if off < 0 || off >= int64(len(f.content)) {
		return 0
	}
	return copy(p, f.content[off:])
}

// Close gives the memory back.
func (f *File) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.content = nil
	f.buf.Free()
}
