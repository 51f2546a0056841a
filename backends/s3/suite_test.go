package s3

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/backends/backendtest/server"
)

// suiteConfig makes retries, as a daemon does: Versity S3 Gateway answers a PUT
// that races with a delete in the same directory with a conflict.
func suiteConfig(s server.S3) Config {
	cfg := configFor(s)
	cfg.MaxRetries = DefaultConfig().MaxRetries
	return cfg
}

// brokenBy names what a server is known to break. Versity S3 Gateway, which keeps
// objects as files, does not keep a delete from coming between its look at the
// condition of a PUT and the PUT itself.
func brokenBy(s server.S3) []string {
	if s.Objects == "" {
		return nil
	}
	return []string{"what is deleted stays deleted"}
}

func TestSuite(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) {
		b := open(t, suiteConfig(s))
		backendtest.Run(t, func(*testing.T) backends.Bucket { return b }, brokenBy(s)...)
	})
}

// The suite's large objects go in parts here.
func TestSuiteInParts(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) {
		b := open(t, suiteConfig(s))
		b.partThreshold, b.partSize = 5<<20, 5<<20
		backendtest.Run(t, func(*testing.T) backends.Bucket { return b }, brokenBy(s)...)
	})
}

// With a certificate from an authority that ca_certificates names.
func TestSuiteOverTLS(t *testing.T) {
	s := server.MinIOTLS(t)
	b := open(t, suiteConfig(s))
	backendtest.Run(t, func(*testing.T) backends.Bucket { return b })
	s.Authority = ""
	if _, err := open(t, configFor(s)).List(t.Context(), backends.ListOptions{}); err == nil {
		t.Error("the certificate of an unknown authority was trusted")
	}
}
