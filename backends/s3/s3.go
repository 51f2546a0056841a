package s3

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/conditional"
	"orthanc-bucketfs/backends/internal/httpconn"
)

// Bucket is a bucket in a store. It implements backends.Bucket.
type Bucket struct {
	client  *s3.Client
	retryer aws.RetryerV2
	cfg     Config
	region  string
	tagging string // Config.Tags as a query

	transport *http.Transport // the client's own, for requests without credentials
	pool      *httpconn.Pool  // its connections

	whole, parts learnt // for bodies that go in one request, and in several
	deletes      conditional.Deletes

	partThreshold int // bytes; larger bodies go in parts
	partSize      int // bytes
}

func (b *Bucket) String() string {
	where := " in " + b.region
	if b.cfg.Endpoint != "" {
		where = " at " + b.cfg.Endpoint
	}
	return "s3 bucket " + b.cfg.Bucket + where
}

func (b *Bucket) Stat(ctx context.Context, key string) (backends.Object, error) {
	if err := admit(ctx, "stat", key); err != nil {
		return backends.Object{}, err
	}
	ctx, over := b.pool.Call(ctx)
	defer over()
	obj, err := b.head(ctx, key, "")
	if err != nil {
		return backends.Object{}, failure(ctx, "stat", key, err)
	}
	return obj, nil
}

func (b *Bucket) Delete(ctx context.Context, key, version string) error {
	if err := admit(ctx, "delete", key); err != nil {
		return err
	}
	version, err := b.deletes.Condition(ctx, b, key, version)
	if err != nil {
		return err
	}
	ctx, over := b.pool.Call(ctx)
	defer over()
	_, err = b.client.DeleteObject(ctx, &s3.DeleteObjectInput{
		Bucket:  &b.cfg.Bucket,
		Key:     &key,
		IfMatch: ifMatch(version),
	}, once)
	if err != nil && !answer(err).missing() {
		return failure(ctx, "delete", key, err)
	}
	return nil
}

// Conditions returns what Inspect has found out.
func (b *Bucket) Conditions() backends.Conditions {
	return backends.Conditions{
		Create: !b.whole.get().lookFirst && !b.parts.get().lookFirst,
		Delete: b.deletes.Honoured(),
	}
}

// once keeps the SDK from sending a request again: the one before, if it was
// not answered, may still arrive.
func once(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// head describes the object, which must be the given version unless that is
// empty.
func (b *Bucket) head(ctx context.Context, key, version string) (backends.Object, error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket:  &b.cfg.Bucket,
		Key:     &key,
		IfMatch: ifMatch(version),
	})
	if err != nil {
		return backends.Object{}, err
	}
	if out.ContentLength == nil {
		return backends.Object{}, errors.New("the answer does not tell the size of the object")
	}
	obj, err := describe(key, out.ETag, *out.ContentLength, out.LastModified)
	if err == nil && version != "" && obj.Version != version {
		err = backends.ErrChanged
	}
	return obj, err
}

// describe refuses an answer without an ETag: nothing could be pinned to it.
func describe(key string, etag *string, size int64, modified *time.Time) (backends.Object, error) {
	version := strings.Trim(aws.ToString(etag), `"`)
	if version == "" {
		return backends.Object{}, errors.New("the answer has no ETag")
	}
	if size < 0 {
		return backends.Object{}, errors.New("the answer gives the object a negative size")
	}
	return backends.Object{
		Key:      key,
		Size:     size,
		Modified: aws.ToTime(modified),
		Version:  version,
	}, nil
}

// ifMatch returns the ETag for a version, nil if it is empty.
func ifMatch(version string) *string {
	if version == "" {
		return nil
	}
	return aws.String(`"` + version + `"`)
}

// admit refuses an invalid key, and a call whose context has ended.
func admit(ctx context.Context, op, key string) error {
	if err := backends.CheckKey(op, key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &backends.Error{Op: op, Key: key, Err: err}
	}
	return nil
}
