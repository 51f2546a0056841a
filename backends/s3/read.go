package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"orthanc-bucketfs/backends"
)

func (b *Bucket) Read(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
	if err := admit(ctx, "read", key); err != nil {
		return 0, backends.Object{}, err
	}
	ctx, over := b.pool.Call(ctx)
	defer over()
	n, obj, err := b.read(ctx, key, version, p, off)
	if err != nil {
		return n, backends.Object{}, failure(ctx, "read", key, err)
	}
	return n, obj, nil
}

func (b *Bucket) read(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
	if off < 0 {
		return 0, backends.Object{}, fs.ErrInvalid
	}
	if len(p) == 0 || off > math.MaxInt64-int64(len(p)) {
		obj, err := b.head(ctx, key, version)
		return 0, obj, err
	}
	first, err := b.get(ctx, key, version, p, off)
	if answer(err).status == http.StatusRequestedRangeNotSatisfiable {
		return b.readBeyond(ctx, key, version, off)
	}
	if err != nil {
		return 0, backends.Object{}, err
	}
	p = p[:first.want]
	n, err := b.fill(ctx, first, p, off)
	if err == nil && off == 0 && int64(n) == first.obj.Size {
		err = verify(p, first.out)
	}
	return n, first.obj, err
}

// readBeyond describes an object that ends before off.
func (b *Bucket) readBeyond(ctx context.Context, key, version string, off int64) (int, backends.Object, error) {
	obj, err := b.head(ctx, key, version)
	if err == nil && obj.Size > off {
		err = errors.New("the object was replaced by a larger one while it was read")
	}
	return 0, obj, err
}

// fill reads what part announces into p. Where the connection breaks it goes
// on with another request for the same version.
func (b *Bucket) fill(ctx context.Context, part *part, p []byte, off int64) (int, error) {
	key, version := part.obj.Key, part.obj.Version
	n := 0
	for attempt := 1; ; attempt++ {
		m, err := part.read(p[n:])
		n += m
		if err == nil {
			return n, nil
		}
		err = fmt.Errorf("%w after %d of %d bytes: %w", io.ErrUnexpectedEOF, n, len(p), foreign(err))
		release, again := b.again(ctx, attempt, err)
		if !again {
			return n, err
		}
		part, err = b.get(ctx, key, version, p[n:], off+int64(n))
		if err == nil && part.want != len(p)-n {
			part.out.Body.Close()
			err = fmt.Errorf("%w: the store gave %d of the %d bytes that remain", io.ErrUnexpectedEOF, part.want, len(p)-n)
		}
		_ = release(err)
		if err != nil {
			return n, err
		}
	}
}

// again waits until a call may repeat what has failed with err. It takes the
// right to do so from the allowance for retries, and reports false when that,
// or the call's time, is used up.
func (b *Bucket) again(ctx context.Context, attempt int, err error) (release func(error) error, ok bool) {
	if attempt >= b.retryer.MaxAttempts() {
		return nil, false
	}
	delay, delayErr := b.retryer.RetryDelay(attempt, err)
	if delayErr != nil {
		return nil, false
	}
	release, tokenErr := b.retryer.GetRetryToken(ctx, err)
	if tokenErr != nil {
		return nil, false
	}
	select {
	case <-time.After(delay):
		return release, true
	case <-ctx.Done():
		return nil, false
	}
}

// get asks for as many bytes from off as p holds. The caller reads the body of
// the answer.
func (b *Bucket) get(ctx context.Context, key, version string, p []byte, off int64) (*part, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket:  &b.cfg.Bucket,
		Key:     &key,
		Range:   aws.String(fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)),
		IfMatch: ifMatch(version),
	}, withChecksum)
	if err != nil {
		return nil, err
	}
	result, err := newPart(out, key, version, len(p), off)
	if err != nil {
		out.Body.Close()
		return nil, err
	}
	return result, nil
}
