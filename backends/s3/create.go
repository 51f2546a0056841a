package s3

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"orthanc-bucketfs/backends"
)

const contentType = "application/octet-stream"

// Create keeps its promises with conditional requests. If Inspect has found that
// the store does not honour these, it asks for the key first and then stores
// without a condition: of two Creates of one key at the same moment both may
// succeed, and the object is that of one of them.
func (b *Bucket) Create(ctx context.Context, key string, body []byte) (backends.Object, error) {
	if err := admit(ctx, "create", key); err != nil {
		return backends.Object{}, err
	}
	ctx, over := b.pool.Call(ctx)
	defer over()
	obj, err := b.store(ctx, key, "", body)
	if err != nil {
		return backends.Object{}, failure(ctx, "create", key, err)
	}
	return obj, nil
}

// Replace needs conditional requests: a store that Inspect has found to be
// without has no Replace.
func (b *Bucket) Replace(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
	if err := admit(ctx, "replace", key); err != nil {
		return backends.Object{}, err
	}
	if err := backends.CheckVersion("replace", key, version); err != nil {
		return backends.Object{}, err
	}
	ctx, over := b.pool.Call(ctx)
	defer over()
	obj, err := b.store(ctx, key, version, body)
	if err != nil {
		return backends.Object{}, failure(ctx, "replace", key, err)
	}
	return obj, nil
}

// store stores body in place of a version, or, if that is empty, of nothing.
func (b *Bucket) store(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
	if len(body) > b.partThreshold {
		return b.putParts(ctx, key, version, body)
	}
	return b.put(ctx, key, version, body)
}

// put stores body with one request.
func (b *Bucket) put(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
	m := b.whole.get()
	if err := b.look(ctx, m, key, version); err != nil {
		return backends.Object{}, err
	}
	ctx, attempts := withAttempts(ctx)
	begin := time.Now()
	out, err := b.client.PutObject(ctx, b.putInput(m, key, version, body), retryConflicts)
	if err != nil {
		return backends.Object{}, markRetried(err, *attempts)
	}
	return describe(key, out.ETag, int64(len(body)), storedAt(begin, out.ResultMetadata))
}

func (b *Bucket) putInput(m mode, key, version string, body []byte) *s3.PutObjectInput {
	crc, digest := m.checksums(body)
	return &s3.PutObjectInput{
		Bucket:               &b.cfg.Bucket,
		Key:                  &key,
		Body:                 reader(body),
		ContentLength:        aws.Int64(int64(len(body))),
		ContentType:          aws.String(contentType),
		IfNoneMatch:          m.condition(version),
		IfMatch:              ifMatch(version),
		ChecksumCRC32C:       crc,
		ContentMD5:           digest,
		StorageClass:         types.StorageClass(b.cfg.StorageClass),
		Tagging:              optional(b.tagging),
		ServerSideEncryption: types.ServerSideEncryption(b.cfg.ServerSideEncryption),
		SSEKMSKeyId:          optional(b.cfg.KMSKeyID),
	}
}

// retryConflicts makes the SDK send a request again that was in conflict with
// another one. The store knows the answer as soon as the other has ended. The
// last code is that of Versity S3 Gateway for a directory that a delete of the
// last object in it removed in the midst of the PUT.
func retryConflicts(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer,
		"ConditionalRequestConflict", "OperationAborted", "ExistingObjectIsDirectory")
}

// reader keeps bytes.Reader's WriteTo from the HTTP client. With it a whole
// body would be one write to the connection, under one deadline, and could not
// be taken back from the client in the midst of it.
func reader(body []byte) io.ReadSeeker {
	return struct{ io.ReadSeeker }{bytes.NewReader(body)}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// storedAt estimates when the store took an object, which it does not tell:
// the middle between the seconds in which the call began and was answered, or
// the store's own time if its clock differs.
//
// A file system stamps files with a clock that is a tick behind, so that an
// object can be of the second before the one in which the call began.
func storedAt(begin time.Time, answered middleware.Metadata) *time.Time {
	const (
		clocksAgree = 2 * time.Second
		tick        = 10 * time.Millisecond // the longest there is, at 100 Hz
	)
	begin, end := begin.Add(-tick), time.Now()
	if date, ok := awsmiddleware.GetServerTime(answered); ok && end.Sub(date).Abs() > clocksAgree {
		return &date
	}
	first, last := begin.Truncate(time.Second), end.Truncate(time.Second)
	return aws.Time(first.Add(last.Sub(first) / 2))
}
