package s3

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

// suiteConfig makes retries, as a daemon does: the gateway answers a PUT that
// races with a delete in the same directory with a conflict.
func suiteConfig(t *testing.T) Config {
	cfg := testConfig(startGateway(t))
	cfg.MaxRetries = DefaultConfig().MaxRetries
	return cfg
}

func TestSuite(t *testing.T) {
	b := open(t, suiteConfig(t))
	backendtest.Run(t, func(*testing.T) backends.Bucket { return b })
}

// The suite's large objects go in parts here.
func TestSuiteInParts(t *testing.T) {
	b := open(t, suiteConfig(t))
	b.partThreshold, b.partSize = 5<<20, 5<<20
	backendtest.Run(t, func(*testing.T) backends.Bucket { return b })
}
