package azure

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func TestObserverIsToldOfEveryAttempt(t *testing.T) {
	backendtest.RunObserved(t, func(url string, observe backends.Observer) (backends.Bucket, error) {
		cfg := DefaultConfig()
		cfg.ConnectionString = backends.NewSecret("BlobEndpoint=" + url + "/;SharedAccessSignature=sv=2026-01-01&sig=" + signature)
		cfg.Container, cfg.MaxRetries = "images", 1
		return open(t.Context(), cfg, small(), observe)
	})
}
