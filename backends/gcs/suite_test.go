package gcs

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

const bucketName = "images"

var _ backends.Bucket = (*Bucket)(nil)

// runSuite has the bucket find out first that the emulator ignores the condition
// of a DELETE. Another request may then come between the look and the DELETE.
func runSuite(t *testing.T, b *Bucket) {
	t.Helper()
	if found := find(t, b.Inspect(t.Context(), "probe"), "conditional delete"); found.Warning == "" || b.Conditions().Delete {
		t.Errorf("the emulator honours conditions by now: %+v", found)
	}
	backendtest.Run(t, func(*testing.T) backends.Bucket { return b },
		"a replace or a delete of one version wins", "what is stored after a delete of another version stays")
}

func TestSuite(t *testing.T) {
	runSuite(t, open(t, testConfig(newFront(t).URL)))
}

func TestSuiteThroughSessions(t *testing.T) {
	b := open(t, testConfig(newFront(t).URL))
	b.largestSingle, b.uploadPiece = 0, 1<<20
	runSuite(t, b)
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
