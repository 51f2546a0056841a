package e2e_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/azure"
	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/backends/backendtest/wire"
	"orthanc-bucketfs/backends/gcs"
	"orthanc-bucketfs/backends/s3"
)

// cloud is a server that was started, open and as a section of a configuration.
type cloud struct {
	backend  string
	bucket   backends.Bucket
	settings string
	objects  string // where each object is a file, under its key; empty if they are not files
}

// behind returns c with settings that lead to it through a proxy.
func (c cloud) behind(t *testing.T) (cloud, *wire.Proxy) {
	t.Helper()
	url := regexp.MustCompile(`http://[0-9.:]+`).FindString(c.settings)
	proxy := wire.New(t, url)
	c.settings = strings.ReplaceAll(c.settings, url, proxy.URL)
	return c, proxy
}

// clouds starts a server of each cloud, by the name of its backend.
func clouds() map[string]func(*testing.T) cloud {
	return map[string]func(*testing.T) cloud{"s3": startS3, "azure": startAzure, "gcs": startGCS}
}

func startS3(t *testing.T) cloud { return s3Cloud(t, server.Versity(t)) }

func startMinIO(t *testing.T) cloud { return s3Cloud(t, server.MinIO(t)) }

func s3Cloud(t *testing.T, s server.S3) cloud {
	t.Helper()
	cfg := s3.DefaultConfig()
	cfg.Bucket, cfg.Endpoint, cfg.AccessKey, cfg.SecretKey, cfg.PathStyle = s.Bucket, s.URL, s.AccessKey, backends.NewSecret(s.SecretKey), true
	bucket, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cloud{"s3", bucket, fmt.Sprintf("bucket = %q\nendpoint = %q\naccess_key = %q\nsecret_key = %q\npath_style = true",
		s.Bucket, s.URL, s.AccessKey, s.SecretKey), s.Objects}
}

func startAzure(t *testing.T) cloud {
	t.Helper()
	s := server.Azurite(t)
	cfg := azure.DefaultConfig()
	cfg.ConnectionString, cfg.Container, cfg.CreateContainer = backends.NewSecret(s.ConnectionString(s.URL)), "images", true
	bucket, err := azure.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bucket.Close() })
	return cloud{"azure", bucket, fmt.Sprintf("connection_string = %q\ncontainer = \"images\"", s.ConnectionString(s.URL)), ""}
}

func startGCS(t *testing.T) cloud {
	t.Helper()
	s := server.FakeGCS(t)
	cfg := gcs.DefaultConfig()
	cfg.Bucket, cfg.Endpoint = s.Bucket, s.URL
	bucket, err := gcs.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bucket.Close() })
	return cloud{"gcs", bucket, fmt.Sprintf("bucket = %q\nendpoint = %q", s.Bucket, s.URL), ""}
}
