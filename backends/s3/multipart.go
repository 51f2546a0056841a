package s3

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"orthanc-bucketfs/backends"
)

const (
	parallelParts = 4
	abortTimeout  = 5 * time.Second
)

// putParts stores body in parts. The object appears with the last request,
// which is conditional as that of put is.
func (b *Bucket) putParts(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
	upload, err := b.begin(ctx, key, version)
	if err != nil {
		return backends.Object{}, err
	}
	obj, err := upload.run(ctx, body)
	if err != nil {
		_ = upload.abort(ctx) // changes nothing for the caller
		return backends.Object{}, err
	}
	return obj, nil
}

// upload is a multipart upload that has begun.
type upload struct {
	*Bucket
	mode    mode
	key     string
	version string // to be replaced; empty if there is to be none
	id      *string
}

func (b *Bucket) begin(ctx context.Context, key, version string) (*upload, error) {
	m := b.parts.get()
	in := &s3.CreateMultipartUploadInput{
		Bucket:               &b.cfg.Bucket,
		Key:                  &key,
		ContentType:          aws.String(contentType),
		StorageClass:         types.StorageClass(b.cfg.StorageClass),
		Tagging:              optional(b.tagging),
		ServerSideEncryption: types.ServerSideEncryption(b.cfg.ServerSideEncryption),
		SSEKMSKeyId:          optional(b.cfg.KMSKeyID),
	}
	if !m.md5 {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c
		in.ChecksumType = types.ChecksumTypeFullObject
	}
	out, err := b.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return nil, err
	}
	return &upload{b, m, key, version, out.UploadId}, nil
}

func (u *upload) run(ctx context.Context, body []byte) (backends.Object, error) {
	parts, err := u.sendAll(ctx, body)
	if err != nil {
		return backends.Object{}, err
	}
	return u.complete(ctx, body, parts)
}

// sendAll returns when every request it has made has ended. The first failure
// ends the others.
func (u *upload) sendAll(ctx context.Context, body []byte) ([]types.CompletedPart, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	count := (len(body) + u.partSize - 1) / u.partSize
	parts := make([]types.CompletedPart, count)
	next := make(chan int, count)
	for i := range count {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for range min(parallelParts, count) {
		wg.Go(func() {
			for i := range next {
				if ctx.Err() != nil {
					return
				}
				part, err := u.send(ctx, int32(i+1), body[i*u.partSize:min((i+1)*u.partSize, len(body))])
				if err != nil {
					cancel(err)
					return
				}
				parts[i] = part
			}
		})
	}
	wg.Wait()
	return parts, context.Cause(ctx)
}

func (u *upload) send(ctx context.Context, number int32, piece []byte) (types.CompletedPart, error) {
	crc, digest := u.mode.checksums(piece)
	out, err := u.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket:         &u.cfg.Bucket,
		Key:            &u.key,
		UploadId:       u.id,
		PartNumber:     &number,
		Body:           reader(piece),
		ContentLength:  aws.Int64(int64(len(piece))),
		ChecksumCRC32C: crc,
		ContentMD5:     digest,
	})
	if err != nil {
		return types.CompletedPart{}, err
	}
	return types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32C: crc}, nil
}

func (u *upload) complete(ctx context.Context, body []byte, parts []types.CompletedPart) (backends.Object, error) {
	if err := u.look(ctx, u.mode, u.key, u.version); err != nil {
		return backends.Object{}, err
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket:          &u.cfg.Bucket,
		Key:             &u.key,
		UploadId:        u.id,
		IfNoneMatch:     u.mode.condition(u.version),
		IfMatch:         ifMatch(u.version),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	if !u.mode.md5 {
		in.ChecksumCRC32C = aws.String(crc32c(body))
		in.ChecksumType = types.ChecksumTypeFullObject
	}
	ctx, attempts := withAttempts(ctx)
	begin := time.Now()
	out, err := u.client.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return backends.Object{}, markRetried(err, *attempts)
	}
	return describe(u.key, out.ETag, int64(len(body)), storedAt(begin, out.ResultMetadata))
}

// abort makes the store forget the parts. It does so also for a caller that
// has given up.
func (u *upload) abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	_, err := u.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket:   &u.cfg.Bucket,
		Key:      &u.key,
		UploadId: u.id,
	})
	return err
}
