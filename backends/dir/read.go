package dir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"orthanc-bucketfs/backends"
)

const readPiece = 4 << 20 // bytes read between two looks at the context

func (b *Bucket) Read(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
	if err := admit(ctx, "read", key); err != nil {
		return 0, backends.Object{}, err
	}
	n, obj, err := b.read(ctx, key, version, p, off)
	if err != nil {
		return n, backends.Object{}, &backends.Error{Op: "read", Key: key, Err: err}
	}
	return n, obj, nil
}

// read describes and reads one open file, so it cannot mix two versions.
func (b *Bucket) read(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
	if off < 0 {
		return 0, backends.Object{}, fs.ErrInvalid
	}
	f, fi, err := b.open(key)
	if err != nil {
		return 0, backends.Object{}, err
	}
	defer f.Close()
	obj := describe(key, fi)
	if version != "" && version != obj.Version {
		return 0, backends.Object{}, backends.ErrChanged
	}
	want := min(int64(len(p)), max(0, obj.Size-off))
	n, err := readAt(ctx, f, p[:want], off)
	return n, obj, err
}

func (b *Bucket) open(key string) (*os.File, fs.FileInfo, error) {
	if _, err := b.lstat(key); err != nil {
		return nil, nil, err
	}
	f, err := b.root.Open(key)
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, fi, nil
}

// readAt fills p. The file ending first means that it was cut after it had
// been described.
func readAt(ctx context.Context, r io.ReaderAt, p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		piece := p[n:min(n+readPiece, len(p))]
		m, err := r.ReadAt(piece, off+int64(n))
		n += m
		if m == len(piece) {
			continue
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	return n, nil
}
