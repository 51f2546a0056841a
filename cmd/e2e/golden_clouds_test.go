package e2e_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/lab"
)

// TestPluginBucketsInClouds reads flat names from the stores that the plugin
// has them in: each has its own way to list, and to name a version.
func TestPluginBucketsInClouds(t *testing.T) {
	t.Parallel()
	require(t)
	for backend, start := range clouds() {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			for _, b := range pluginBuckets() {
				if b.layout == "flat" {
					t.Run(b.dir, func(t *testing.T) { c.serve(t, b) })
				}
			}
		})
	}
}

func (c cloud) serve(t *testing.T, b pluginBucket) {
	ctx, site := newSite(t)
	c.fill(t, ctx, filepath.Join(pluginData, b.dir))
	configurePlugin(t, site, b, "", c.backend, c.settings)
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
