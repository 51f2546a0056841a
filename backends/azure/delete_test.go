package azure

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func TestDeletesOnce(t *testing.T) {
	backendtest.RunDeletesOnce(t, func(url string) (backends.Bucket, error) { return fakeAt(t, url, 3), nil })
}

func TestStalls(t *testing.T) {
	backendtest.RunStalls(t, func(url string) (backends.Bucket, error) {
		cfg := fakeConfig(url)
		cfg.MaxRetries, cfg.RequestTimeout = 3, 1
		return openAt(t, cfg, small()), nil
	})
}
