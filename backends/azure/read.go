package azure

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"orthanc-bucketfs/backends"
)

const rangeSumMax = 4 << 20 // bytes of the largest range that the service gives the MD5 of

func (b *Bucket) Read(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
	if err := admit(ctx, "read", key); err != nil {
		return 0, backends.Object{}, err
	}
	ctx, over := b.pool.Call(ctx)
	defer over()
	n, obj, err := b.read(ctx, key, version, p, off)
	if err != nil {
		return n, backends.Object{}, failure("read", key, err)
	}
	return n, obj, nil
}

func (b *Bucket) read(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
	if off < 0 {
		return 0, backends.Object{}, fs.ErrInvalid
	}
	r := &reading{bucket: b, key: key, version: version, p: p, off: off}
	err := r.run(ctx)
	if errors.Is(err, backends.ErrChanged) {
		// The service says the same of an object that is gone.
		if _, missing := b.head(ctx, "read", key, ""); missing != nil {
			err = missing
		}
	}
	return r.n, r.obj, err
}

// reading is one Read, which goes on where a body broke off.
type reading struct {
	bucket  *Bucket
	key     string
	version string // that must be read; from the first answer on, the one it is about
	p       []byte // from the first answer on, no longer than the object
	off     int64
	n       int    // bytes of p filled
	sum     []byte // MD5 of p, if the service has told it
	obj     backends.Object
}

func (r *reading) run(ctx context.Context) (err error) {
	if len(r.p) == 0 {
		r.obj, err = r.bucket.head(ctx, "read", r.key, r.version)
		return err
	}
	for attempt := 0; ; attempt++ {
		again, err := r.step(ctx)
		if err == nil && attempt > 0 {
			r.bucket.budget.Succeeded(true)
		}
		if !again || attempt == r.bucket.retries || ctx.Err() != nil || !r.bucket.budget.Take() {
			return err
		}
	}
}

// step makes one request. It reports again if another one can go on.
func (r *reading) step(ctx context.Context) (again bool, err error) {
	err = r.fetch(ctx)
	var broken *brokenBody
	var a *answer
	switch {
	case err == nil:
		return false, r.verify()
	case errors.As(err, &broken):
		return true, err
	case errors.As(err, &a) && a.status == http.StatusRequestedRangeNotSatisfiable:
		r.obj, err = r.bucket.head(ctx, "read", r.key, r.version)
		if err == nil && r.off < r.obj.Size {
			return true, errRange // the object has grown meanwhile
		}
	}
	return false, err
}

func (r *reading) fetch(ctx context.Context) error {
	askSum := r.n == 0 && len(r.p) <= rangeSumMax
	opts := &blob.DownloadStreamOptions{
		Range:            blob.HTTPRange{Offset: r.off + int64(r.n), Count: int64(len(r.p) - r.n)},
		AccessConditions: ifMatch(r.version),
	}
	if askSum {
		opts.RangeGetContentMD5 = &askSum
	}
	resp, err := r.bucket.client.NewBlobClient(r.key).DownloadStream(ctx, opts)
	if err != nil {
		return r.bucket.translate(ctx, "read", err)
	}
	defer resp.Body.Close()
	if err := r.accept(resp, askSum); err != nil {
		return err
	}
	n, err := io.ReadFull(resp.Body, r.p[r.n:])
	r.n += n
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return &brokenBody{deref(resp.RequestID), r.bucket.translate(ctx, "read", err)}
	}
	return nil
}

// accept takes from the head of an answer what the object is and where it ends.
func (r *reading) accept(resp blob.DownloadStreamResponse, askedSum bool) error {
	start, size, err := extent(resp)
	if err != nil {
		return err
	}
	obj, err := describe(r.key, size, resp.ETag, resp.LastModified)
	if err != nil {
		return err
	}
	if r.version != "" && obj.Version != r.version {
		return backends.ErrChanged
	}
	if start != r.off+int64(r.n) {
		return errRange
	}
	if r.n > 0 {
		return nil
	}
	r.obj, r.version = obj, obj.Version
	r.p = r.p[:max(0, min(int64(len(r.p)), size-r.off))]
	switch whole := int64(len(r.p)) == size; {
	case askedSum && resp.ContentRange != nil:
		r.sum = resp.ContentMD5
	case whole && resp.ContentRange != nil:
		r.sum = resp.BlobContentMD5
	case whole:
		r.sum = resp.ContentMD5
	}
	return nil
}

func (r *reading) verify() error {
	if r.sum == nil || len(r.p) == 0 {
		return nil
	}
	if sum := md5.Sum(r.p); !bytes.Equal(sum[:], r.sum) {
		return errDamaged
	}
	return nil
}

// extent returns where the body of an answer starts in the object, and the size
// of the object.
func extent(resp blob.DownloadStreamResponse) (start, size int64, err error) {
	if resp.ContentRange == nil { // the whole object
		if resp.ContentLength == nil {
			return 0, 0, errIncomplete
		}
		return 0, *resp.ContentLength, nil
	}
	var end int64
	if _, err := fmt.Sscanf(*resp.ContentRange, "bytes %d-%d/%d", &start, &end, &size); err != nil {
		return 0, 0, errRange
	}
	return start, size, nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
