package azure

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func TestObserverIsToldOfEveryAttempt(t *testing.T) {
	backendtest.RunObserved(t, func(url string, observe backends.Observer) (backends.Bucket, error) {
		cfg := fakeConfig(url)
		cfg.MaxRetries = 1
		return open(t.Context(), cfg, small(), observe)
	})
}
