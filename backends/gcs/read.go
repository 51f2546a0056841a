package gcs

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"net/http"

	"cloud.google.com/go/storage"

	"orthanc-bucketfs/backends"
)

func (b *Bucket) Read(ctx context.Context, key, version string, p []byte, off int64) (n int, obj backends.Object, err error) {
	if err := backends.CheckKey("read", key); err != nil {
		return 0, backends.Object{}, err
	}
	err = b.do(ctx, "read", key, func(ctx context.Context, c *call) error {
		r := reading{b, c, key, version, p, off}
		n, obj, err = r.run(ctx)
		return err
	})
	if err != nil {
		return n, backends.Object{}, err
	}
	return n, obj, nil
}

// reading is one call of Read.
type reading struct {
	*Bucket
	call    *call
	key     string
	version string
	p       []byte
	off     int64
}

func (r *reading) run(ctx context.Context) (int, backends.Object, error) {
	if r.off < 0 {
		return 0, backends.Object{}, fs.ErrInvalid
	}
	handle, ok := r.pinnedHandle(r.key, r.version)
	if !ok || len(r.p) == 0 || r.off > math.MaxInt64-int64(len(r.p)) {
		obj, err := r.pinned(ctx, r.call, r.key, r.version)
		return 0, obj, err
	}
	r.call.allow(1 + r.cfg.MaxRetries)
	body, err := handle.NewRangeReader(ctx, r.off, int64(len(r.p)))
	if err != nil {
		return r.unopened(ctx, err)
	}
	defer body.Close()
	obj, err := r.describe(body.Attrs)
	if err != nil {
		return 0, backends.Object{}, err
	}
	return r.fill(ctx, body, obj)
}

// unopened settles a request that was answered with an error.
func (r *reading) unopened(ctx context.Context, err error) (int, backends.Object, error) {
	switch r.call.status() {
	case http.StatusNotFound:
		return 0, backends.Object{}, r.absent(ctx, r.call)
	case http.StatusRequestedRangeNotSatisfiable:
		obj, err := r.pinned(ctx, r.call, r.key, r.version)
		if err == nil && r.off < obj.Size {
			err = backends.ErrChanged // since the range was refused
		}
		return 0, obj, err
	case http.StatusPreconditionFailed:
		a := r.call.last()
		if _, err := r.pinned(ctx, r.call, r.key, r.version); err != nil {
			return 0, backends.Object{}, err
		}
		return 0, backends.Object{}, a
	}
	return 0, backends.Object{}, r.call.outcome(ctx, err)
}

func (r *reading) describe(attrs storage.ReaderObjectAttrs) (backends.Object, error) {
	obj := backends.Object{
		Key:      r.key,
		Size:     attrs.Size,
		Modified: attrs.LastModified,
		Version:  version(attrs.Generation),
	}
	switch {
	case attrs.Generation <= 0:
		return obj, errors.New("the service answered without a generation")
	case r.version != "" && r.version != obj.Version:
		return obj, backends.ErrChanged
	case attrs.Decompressed || attrs.ContentEncoding == "gzip":
		return obj, errors.New("the object is stored with Content-Encoding gzip: remove it and store its bytes as they are")
	case attrs.Size < 0 || attrs.StartOffset != r.off:
		return obj, errors.New("the service answered with another range than was asked for")
	}
	return obj, nil
}

// fill reads what there is for p. The SDK goes on where a connection broke,
// with the same generation.
func (r *reading) fill(ctx context.Context, body *storage.Reader, obj backends.Object) (int, backends.Object, error) {
	want := min(int64(len(r.p)), obj.Size-r.off)
	n, err := io.ReadFull(body, r.p[:want])
	if err != nil {
		return n, obj, r.unfinished(ctx, obj, n, err)
	}
	whole := int64(n) == obj.Size
	// A sum of 0 may mean that there is none.
	if sum := body.Attrs.CRC32C; whole && sum != 0 && sum != crc32.Checksum(r.p[:n], castagnoli()) {
		return n, obj, errors.New("the bytes do not match the CRC-32C of the object")
	}
	return n, obj, nil
}

// unfinished explains a body that ended with err after n bytes.
func (r *reading) unfinished(ctx context.Context, obj backends.Object, n int, err error) error {
	if missing(r.call) {
		// The generation is gone; there may be another.
		if _, err := r.pinned(ctx, r.call, r.key, obj.Version); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w after %d bytes: %w", io.ErrUnexpectedEOF, n, r.call.outcome(ctx, err))
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
