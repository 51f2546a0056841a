package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/inspect"
)

// sweepTimeout bounds one Sweep. The next one goes on where it has ended.
const sweepTimeout = 10 * time.Minute

// Sweep costs a GET for a page of at most 1000 uploads, of the whole bucket
// since MinIO knows no prefixes there, and a DELETE for each it gives up.
func (b *Bucket) Sweep(ctx context.Context, age time.Duration, ours func(key string) bool) ([]backends.Leftover, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	var swept []backends.Leftover
	in := &s3.ListMultipartUploadsInput{Bucket: &b.cfg.Bucket, EncodingType: types.EncodingTypeUrl}
	for {
		out, err := b.client.ListMultipartUploads(ctx, in)
		if err != nil {
			return swept, inspect.Lacking(failure(ctx, "sweep", "", err), "s3:ListBucketMultipartUploads")
		}
		decode := decoder(out.EncodingType)
		before := answered(out).Add(-age)
		for _, entry := range out.Uploads {
			key, err := decode(aws.ToString(entry.Key))
			if err != nil {
				return swept, fmt.Errorf("the listing of uploads has a key in an unknown encoding: %w", err)
			}
			left := backends.Leftover{Key: key, Begun: aws.ToTime(entry.Initiated)}
			if left.Begun.IsZero() || !left.Begun.Before(before) || !ours(key) {
				continue
			}
			if err := b.giveUp(ctx, key, entry.UploadId); err != nil {
				return swept, err
			}
			swept = append(swept, left)
		}
		if !aws.ToBool(out.IsTruncated) {
			return swept, nil
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
		if in.KeyMarker == nil {
			return swept, errors.New("the listing of uploads goes on, but the store does not tell how")
		}
	}
}

// answered returns the store's time, which the beginnings of uploads are in.
func answered(out *s3.ListMultipartUploadsOutput) time.Time {
	if date, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		return date
	}
	return time.Now()
}

func (b *Bucket) giveUp(ctx context.Context, key string, id *string) error {
	up := &upload{Bucket: b, key: key, id: id}
	err := up.abort(ctx)
	if err == nil || answer(err).code == "NoSuchUpload" { // somebody else was first
		return nil
	}
	return inspect.Lacking(failure(ctx, "sweep", key, err), "s3:AbortMultipartUpload")
}
