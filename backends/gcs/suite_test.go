package gcs

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

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
