package s3

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"orthanc-bucketfs/backends"
)

// withChecksum asks for the checksum of the object, without the comparison
// that the SDK makes: it knows only about one body, read to its end.
func withChecksum(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue("X-Amz-Checksum-Mode", "ENABLED"))
}

// part is an answer to a request for a range.
type part struct {
	obj  backends.Object
	want int // bytes of the range that the object has
	out  *s3.GetObjectOutput
}

// newPart makes sense of an answer to a request for n bytes from off.
func newPart(out *s3.GetObjectOutput, key, version string, n int, off int64) (*part, error) {
	size, err := objectSize(out, off)
	if err != nil {
		return nil, err
	}
	obj, err := describe(key, out.ETag, size, out.LastModified)
	if err != nil {
		return nil, err
	}
	if version != "" && version != obj.Version {
		return nil, backends.ErrChanged
	}
	return &part{obj, int(min(int64(n), max(0, size-off))), out}, nil
}

// objectSize returns the size of the whole object from an answer that begins
// at off.
func objectSize(out *s3.GetObjectOutput, off int64) (int64, error) {
	if contentRange := aws.ToString(out.ContentRange); contentRange != "" {
		var first, last, size int64
		if _, err := fmt.Sscanf(contentRange, "bytes %d-%d/%d", &first, &last, &size); err != nil || first != off {
			return 0, fmt.Errorf("the store gave range %q for one from %d", contentRange, off)
		}
		return size, nil
	}
	whole, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response)
	if !ok || whole.StatusCode != http.StatusOK || out.ContentLength == nil {
		return 0, errors.New("the answer does not tell the size of the object")
	}
	if off > 0 && *out.ContentLength > off {
		return 0, errors.New("the store gives whole objects when asked for ranges: use another store")
	}
	return *out.ContentLength, nil
}

// read fills buf from the body and closes it.
func (p *part) read(buf []byte) (int, error) {
	defer p.out.Body.Close()
	return io.ReadFull(p.out.Body, buf)
}
