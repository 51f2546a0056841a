package s3

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/server"
)

// The condition of a Replace in parts is that of the last request.
func TestReplaceInPartsIsConditional(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) {
		b := open(t, configFor(s))
		stale, err := b.Create(t.Context(), "x", pattern(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Delete(t.Context(), "x", ""); err != nil {
			t.Fatal(err)
		}
		body := pattern(partThreshold + 1)
		_, err = b.Replace(t.Context(), "x", stale.Version, body)
		wantOnly(t, err, backends.ErrChanged)
		wantMissing(t, b, "x")
		now, err := b.Create(t.Context(), "x", pattern(200))
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Replace(t.Context(), "x", stale.Version, body)
		wantOnly(t, err, backends.ErrChanged)
		if obj, err := b.Stat(t.Context(), "x"); err != nil || obj.Version != now.Version {
			t.Errorf("got %+v, %v; want version %q", obj, err, now.Version)
		}
		wantNoUploads(t, b)
		if obj, err := b.Replace(t.Context(), "x", now.Version, body); err != nil || obj.Size != int64(len(body)) {
			t.Errorf("got %+v, %v", obj, err)
		}
	})
}
