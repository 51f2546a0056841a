package s3

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func TestSuite(t *testing.T) {
	b := open(t, testConfig(startGateway(t)))
	backendtest.Run(t, func(*testing.T) backends.Bucket { return b })
}

// The suite's large objects go in parts here.
func TestSuiteInParts(t *testing.T) {
	b := open(t, testConfig(startGateway(t)))
	b.partThreshold, b.partSize = 5<<20, 5<<20
	backendtest.Run(t, func(*testing.T) backends.Bucket { return b })
}
