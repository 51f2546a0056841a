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

// Promises of the suite that servers are known to break.
const (
	staysDeleted      = "what is deleted stays deleted"
	replacedOrDeleted = "a replace or a delete of one version wins"
	storedStays       = "what is stored after a delete of another version stays"
)

// brokenBy names what a server is known to break. Versity S3 Gateway, which keeps
// objects as files, does not keep a request from coming between its look at the
// condition of another and what it does then. MinIO ignores the condition of a
// DELETE, so that another request may come between our own look and the DELETE.
func brokenBy(s server.S3) []string {
	if s.Objects == "" {
		return []string{replacedOrDeleted, storedStays}
	}
	return []string{staysDeleted, replacedOrDeleted, storedStays}
}

// runSuite has the bucket find out first what the server can do.
func runSuite(t *testing.T, b *Bucket, s server.S3) {
	t.Helper()
	inspected(t, b, "probe-")
	if got, want := b.Conditions(), (backends.Conditions{Create: true, Delete: s.Objects != ""}); got != want {
		t.Errorf("got conditions %+v, want %+v", got, want)
	}
	backendtest.Run(t, func(*testing.T) backends.Bucket { return b }, brokenBy(s)...)
}

func TestSuite(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) { runSuite(t, open(t, suiteConfig(s)), s) })
}

// The suite's large objects go in parts here.
func TestSuiteInParts(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) {
		b := open(t, suiteConfig(s))
		b.partThreshold, b.partSize = 5<<20, 5<<20
		runSuite(t, b, s)
	})
}

// With a certificate from an authority that ca_certificates names.
func TestSuiteOverTLS(t *testing.T) {
	s := server.MinIOTLS(t)
	runSuite(t, open(t, suiteConfig(s)), s)
	s.Authority = ""
	if _, err := open(t, configFor(s)).List(t.Context(), backends.ListOptions{}); err == nil {
		t.Error("the certificate of an unknown authority was trusted")
	}
}
