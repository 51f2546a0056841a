package dir

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"
)

type readerAt func(p []byte, off int64) (int, error)

func (r readerAt) ReadAt(p []byte, off int64) (int, error) { return r(p, off) }

func TestReadAtCut(t *testing.T) {
	p := make([]byte, 100)
	n, err := readAt(t.Context(), bytes.NewReader(make([]byte, 60)), p, 10)
	if n != 50 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d bytes, error %v, want 50, %v", n, err, io.ErrUnexpectedEOF)
	}
	failing := readerAt(func([]byte, int64) (int, error) { return 7, fs.ErrPermission })
	n, err = readAt(t.Context(), failing, p, 10)
	if n != 7 || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %d bytes, error %v, want 7, %v", n, err, fs.ErrPermission)
	}
}

func TestReadAtCancelledUnderWay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var offsets []int64
	r := readerAt(func(p []byte, off int64) (int, error) {
		offsets = append(offsets, off)
		if len(offsets) == 2 {
			cancel()
		}
		return len(p), nil
	})
	n, err := readAt(ctx, r, make([]byte, 3*readPiece), 5)
	if n != 2*readPiece || !errors.Is(err, context.Canceled) {
		t.Errorf("got %d bytes, error %v, want %d, %v", n, err, 2*readPiece, context.Canceled)
	}
	if len(offsets) != 2 || offsets[0] != 5 || offsets[1] != 5+readPiece {
		t.Errorf("read at %d", offsets)
	}
}

func TestReadBeforeTheStart(t *testing.T) {
	b := open(t, t.TempDir())
	create(t, b, "x", "body")
	if _, _, err := b.Read(t.Context(), "x", "", make([]byte, 1), -1); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("got error %v, want %v", err, fs.ErrInvalid)
	}
}
