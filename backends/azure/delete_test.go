package azure

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func TestDeletesOnce(t *testing.T) {
	backendtest.RunDeletesOnce(t, func(url string) (backends.Bucket, error) { return fakeAt(t, url, 3), nil })
}
