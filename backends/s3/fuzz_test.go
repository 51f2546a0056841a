package s3

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"orthanc-bucketfs/backends"
)

// Whatever range an answer tells, no more is expected than was asked for.
func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-99/100", "bytes 0-99/-5", "bytes 0-99/9223372036854775807", "bytes 5-9/10", "bytes 0-99/*", "", "bytes 0--1/0"} {
		f.Add(seed, 100, int64(0))
	}
	f.Add("bytes 9223372036854775807-9/9223372036854775807", 1, int64(9223372036854775807))
	f.Fuzz(func(t *testing.T, contentRange string, n int, off int64) {
		if n < 0 || off < 0 {
			return
		}
		out := &s3.GetObjectOutput{ContentRange: &contentRange, ETag: aws.String(`"v"`)}
		p, err := newPart(out, "key", "", n, off)
		if err == nil && (p.want < 0 || p.want > n || p.obj.Size < 0 || int64(p.want) > max(0, p.obj.Size-off)) {
			t.Errorf("%q: wants %d of %d bytes from %d, of an object of %d", contentRange, p.want, n, off, p.obj.Size)
		}
	})
}

// A listing has keys alone, in order, that the caller can use.
func FuzzListing(f *testing.F) {
	f.Add("ab/cd", "ab/ce", int64(5), true)
	f.Add("%00", "a//b", int64(-5), true)
	f.Add("b", "a", int64(1), false)
	f.Add("%zz", "../x", int64(1), true)
	f.Fuzz(func(t *testing.T, one, two string, size int64, encoded bool) {
		out := &s3.ListObjectsV2Output{IsTruncated: aws.Bool(false)}
		if encoded {
			out.EncodingType = types.EncodingTypeUrl
		}
		for _, key := range []string{one, two} {
			out.Contents = append(out.Contents, types.Object{Key: &key, Size: &size, ETag: aws.String(`"v"`)})
		}
		page, err := newPage(out)
		if err != nil {
			return
		}
		last := ""
		for _, obj := range page.Objects {
			if backends.CheckKey("list", obj.Key) != nil || obj.Key <= last || obj.Size < 0 {
				t.Errorf("listed %q of %d bytes after %q", obj.Key, obj.Size, last)
			}
			last = obj.Key
		}
	})
}
