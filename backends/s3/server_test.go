package s3

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/server"
)

// The credentials and the bucket that buckets on fakes are opened with.
const (
	testBucket = "images"
	testAccess = "test-access"
	testSecret = "test-secret-key"
)

// onEach runs a test on each of the S3 servers there are.
func onEach(t *testing.T, test func(t *testing.T, s server.S3)) {
	t.Helper()
	for _, c := range []struct {
		name  string
		start func(testing.TB) server.S3
	}{
		{"versitygw", server.Versity},
		{"minio", server.MinIO},
	} {
		t.Run(c.name, func(t *testing.T) { test(t, c.start(t)) })
	}
}

// configFor returns the configuration for the bucket of a server.
func configFor(s server.S3) Config {
	cfg := testConfig(s.URL)
	cfg.Bucket = s.Bucket
	cfg.AccessKey = s.AccessKey
	cfg.SecretKey = backends.NewSecret(s.SecretKey)
	cfg.CACertificates = s.Authority
	return cfg
}

// configBehind returns the configuration for the bucket of a server behind a
// wire.
func configBehind(w *wire, s server.S3) Config {
	cfg := configFor(s)
	cfg.Endpoint = w.url
	return cfg
}

func testConfig(endpoint string) Config {
	cfg := DefaultConfig()
	cfg.Bucket = testBucket
	cfg.Endpoint = endpoint
	cfg.AccessKey = testAccess
	cfg.SecretKey = backends.NewSecret(testSecret)
	cfg.PathStyle = true
	cfg.MaxRetries = 0
	return cfg
}

func open(t testing.TB, cfg Config) *Bucket {
	t.Helper()
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
