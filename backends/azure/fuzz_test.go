package azure

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

// Whatever range an answer tells, no more is read than was asked for, and none
// from elsewhere.
func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-99/100", "bytes 0-99/-5", "bytes 0-99/9223372036854775807", "bytes 5-9/10", "bytes 0-99/*", "", "bytes 0--1/0"} {
		f.Add(seed, uint16(100), int64(0))
	}
	f.Add("bytes 5-9/10", uint16(100), int64(5))
	f.Fuzz(func(t *testing.T, contentRange string, n uint16, off int64) {
		if off < 0 {
			return
		}
		etag, now := azcore.ETag(`"v"`), time.Unix(1e9, 0)
		var resp blob.DownloadStreamResponse
		resp.ContentRange, resp.ETag, resp.LastModified = &contentRange, &etag, &now
		r := &reading{key: "key", p: make([]byte, n), off: off}
		err := r.accept(resp, false)
		if err == nil && (len(r.p) > int(n) || r.obj.Size < 0 || int64(len(r.p)) > max(0, r.obj.Size-off)) {
			t.Errorf("%q: reads %d of %d bytes from %d, of an object of %d", contentRange, len(r.p), n, off, r.obj.Size)
		}
	})
}
