package faults_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/azure"
	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/backends/gcs"
	"orthanc-bucketfs/backends/s3"
)

// largeSize is the size of a file that goes to every store in several requests.
const largeSize = 17 << 20

// provider is a cloud whose server runs.
type provider struct {
	url string // of the server

	// open returns the bucket at the server or a proxy before it.
	open func(ctx context.Context, url string, retries int) (backends.Bucket, error)

	// completes tells whether a request makes an object of what was sent before.
	completes func(*http.Request) bool
}

// providers returns what starts each cloud's server.
func providers() map[string]func(t *testing.T) provider {
	return map[string]func(*testing.T) provider{"s3": onS3, "azure": onAzure, "gcs": onGCS}
}

// limits are patient with a loaded machine, but not with a server that says
// nothing.
func limits(retries int) backends.Limits {
	l := backends.DefaultLimits()
	l.RequestTimeout, l.MaxRetries = 5, retries
	return l
}

func onS3(t *testing.T) provider {
	t.Helper()
	return at(server.Versity(t))
}

func onMinIO(t *testing.T) provider {
	t.Helper()
	return at(server.MinIO(t))
}

func at(s server.S3) provider {
	return provider{
		url: s.URL,
		open: func(ctx context.Context, url string, retries int) (backends.Bucket, error) {
			cfg := s3.DefaultConfig()
			cfg.Bucket, cfg.Endpoint, cfg.PathStyle = s.Bucket, url, true
			cfg.AccessKey, cfg.SecretKey = s.AccessKey, backends.NewSecret(s.SecretKey)
			cfg.Limits = limits(retries)
			return s3.Open(ctx, cfg)
		},
		completes: func(r *http.Request) bool {
			return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
		},
	}
}

func onAzure(t *testing.T) provider {
	t.Helper()
	s := server.Azurite(t)
	p := provider{
		url: s.URL,
		open: func(ctx context.Context, url string, retries int) (backends.Bucket, error) {
			return openAzure(ctx, s.ConnectionString(url), retries, false)
		},
		completes: func(r *http.Request) bool { return r.URL.Query().Get("comp") == "blocklist" },
	}
	bucket, err := openAzure(t.Context(), s.ConnectionString(s.URL), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	closeBucket(t, bucket)
	return p
}

func openAzure(ctx context.Context, connection string, retries int, create bool) (backends.Bucket, error) {
	cfg := azure.DefaultConfig()
	cfg.ConnectionString = backends.NewSecret(connection)
	cfg.Container, cfg.CreateContainer = "images", create
	cfg.Limits = limits(retries)
	return azure.Open(ctx, cfg)
}

func onGCS(t *testing.T) provider {
	t.Helper()
	s := server.FakeGCS(t)
	return provider{
		url: s.URL,
		open: func(ctx context.Context, url string, retries int) (backends.Bucket, error) {
			cfg := gcs.DefaultConfig()
			cfg.Bucket, cfg.Endpoint = s.Bucket, url
			cfg.Limits = limits(retries)
			return gcs.Open(ctx, cfg)
		},
		completes: func(r *http.Request) bool {
			// The pieces before the last do not know the size of the whole.
			return r.URL.Query().Has("upload_id") && r.Method == http.MethodPut && !strings.HasSuffix(r.Header.Get("Content-Range"), "/*")
		},
	}
}

// bucket opens the bucket for the length of the test.
func (p provider) bucket(t *testing.T, url string, retries int) backends.Bucket {
	t.Helper()
	b, err := p.open(t.Context(), url, retries)
	if err != nil {
		t.Fatal(err)
	}
	closeBucket(t, b)
	return b
}

func closeBucket(t *testing.T, b backends.Bucket) {
	if c, ok := b.(io.Closer); ok {
		t.Cleanup(func() { c.Close() })
	}
}
