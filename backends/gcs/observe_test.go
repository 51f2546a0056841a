package gcs

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func TestObserverIsToldOfEveryAttempt(t *testing.T) {
	backendtest.RunObserved(t, func(url string, observe backends.Observer) (backends.Bucket, error) {
		cfg := testConfig(url)
		cfg.MaxRetries = 1
		return Open(t.Context(), cfg, observe)
	})
}
