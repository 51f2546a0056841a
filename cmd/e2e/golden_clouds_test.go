package e2e_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/azure"
	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/backends/gcs"
	"orthanc-bucketfs/backends/s3"
	"orthanc-bucketfs/cmd/internal/lab"
)

// cloud is a server that was started, open and as a section of a configuration.
type cloud struct {
	bucket   backends.Bucket
	settings string
}

// TestPluginBucketsInClouds reads flat names from the stores that the plugin
// has them in: each has its own way to list, and to name a version.
func TestPluginBucketsInClouds(t *testing.T) {
	t.Parallel()
	require(t)
	for backend, start := range map[string]func(*testing.T) cloud{"s3": startS3, "azure": startAzure, "gcs": startGCS} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			for _, b := range pluginBuckets() {
				if b.layout == "flat" {
					t.Run(b.dir, func(t *testing.T) { c.serve(t, backend, b) })
				}
			}
		})
	}
}

func (c cloud) serve(t *testing.T, backend string, b pluginBucket) {
	ctx, site := newSite(t)
	c.fill(t, ctx, filepath.Join(pluginData, b.dir))
	configurePlugin(t, site, b, "", backend, c.settings)
	daemon := mustMount(t, ctx, site)
	sums := pluginSums(t)
	for path := range sums {
		if _, err := os.ReadFile(filepath.Join(site.Mountpoint(), path)); err != nil { // by name
			t.Error(err)
		}
	}
	if got := tree(t, site.Mountpoint()); fmt.Sprint(got) != fmt.Sprint(sums) {
		t.Errorf("listed %v", got)
	}
	for path := range sums {
		if err := os.Remove(filepath.Join(site.Mountpoint(), path)); err != nil {
			t.Error(err)
		}
	}
	for obj, err := range backends.All(ctx, c.bucket, "") {
		t.Errorf("left in the bucket: %s, %v", obj.Key, err)
	}
	if err := daemon.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// fill stores the files in dir as the plugin does, without the daemon.
func (c cloud) fill(t *testing.T, ctx context.Context, dir string) {
	t.Helper()
	names, err := lab.Bucket{Dir: dir}.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		body, err := fs.ReadFile(os.DirFS(dir), name)
		if err == nil {
			_, err = c.bucket.Create(ctx, "pacs/"+name, body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func startS3(t *testing.T) cloud {
	t.Helper()
	s := server.Versity(t)
	cfg := s3.DefaultConfig()
	cfg.Bucket, cfg.Endpoint, cfg.AccessKey, cfg.SecretKey, cfg.PathStyle = s.Bucket, s.URL, s.AccessKey, backends.NewSecret(s.SecretKey), true
	bucket, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cloud{bucket, fmt.Sprintf("bucket = %q\nendpoint = %q\naccess_key = %q\nsecret_key = %q\npath_style = true",
		s.Bucket, s.URL, s.AccessKey, s.SecretKey)}
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
	return cloud{bucket, fmt.Sprintf("connection_string = %q\ncontainer = \"images\"", s.ConnectionString(s.URL))}
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
	return cloud{bucket, fmt.Sprintf("bucket = %q\nendpoint = %q", s.Bucket, s.URL)}
}
