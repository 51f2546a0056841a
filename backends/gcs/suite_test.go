package gcs

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

const bucketName = "images"

var _ backends.Bucket = (*Bucket)(nil)

func TestSuite(t *testing.T) {
	b := open(t, testConfig(newFront(t).URL))
	backendtest.Run(t, func(*testing.T) backends.Bucket { return b })
}

func TestSuiteThroughSessions(t *testing.T) {
	b := open(t, testConfig(newFront(t).URL))
	b.largestSingle, b.uploadPiece = 0, 1<<20
	backendtest.Run(t, func(*testing.T) backends.Bucket { return b })
}

// testConfig names the bucket of server.FakeGCS, at the server itself or at what
// stands before it. There are no retries.
func testConfig(endpoint string) Config {
	cfg := DefaultConfig()
	cfg.Bucket = bucketName
	cfg.Endpoint = endpoint
	cfg.MaxRetries = 0
	return cfg
}

func open(t *testing.T, cfg Config) *Bucket {
	t.Helper()
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}
