package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/azure"
	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/backends/gcs"
	"orthanc-bucketfs/cmd/internal/lab"
)

// store puts the bucket of a site on a server that it starts. A server that does
// not keep objects as files gives a function that opens its bucket.
type store func(t *testing.T, site *lab.Site, budgetMiB int) func(context.Context) (backends.Bucket, error)

func clouds() map[string]store { return map[string]store{"s3": onS3, "azure": onAzure, "gcs": onGCS} }

// TestClouds is a day in the life of an Orthanc whose images are on a server,
// one of them so large that it goes there in several requests.
func TestClouds(t *testing.T) {
	for name, store := range clouds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			day(newPACS(t, options{sync: true, store: store}), large(3, 20<<20))
		})
	}
}

// TestCloudsKillDuringBurst is TestKillDuringBurst with servers.
func TestCloudsKillDuringBurst(t *testing.T) {
	for name, store := range clouds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPACS(t, options{sync: true, store: store})
			all := p.killInBurst(func(b *burst) error { return b.awaitAcks(p.ctx, 1) })
			p.mount()
			p.replaceOrthanc()
			p.checkAftermath(all)
		})
	}
}

// onS3 starts a Versity S3 Gateway for the site. It keeps objects as files.
func onS3(t *testing.T, site *lab.Site, budgetMiB int) func(context.Context) (backends.Bucket, error) {
	t.Helper()
	s := server.Versity(t)
	settings := fmt.Sprintf("bucket = %q\nendpoint = %q\naccess_key = %q\nsecret_key = %q\npath_style = true",
		s.Bucket, s.URL, s.AccessKey, s.SecretKey)
	use(t, site, budgetMiB, "s3", settings, s.Objects)
	return nil
}

// onAzure starts Azurite for the site.
func onAzure(t *testing.T, site *lab.Site, budgetMiB int) func(context.Context) (backends.Bucket, error) {
	t.Helper()
	s := server.Azurite(t)
	cfg := azure.DefaultConfig()
	cfg.ConnectionString = backends.NewSecret(s.ConnectionString(s.URL))
	cfg.Container = "images"
	settings := fmt.Sprintf("connection_string = %q\ncontainer = %q\ncreate_container = true", cfg.ConnectionString.Reveal(), cfg.Container)
	use(t, site, budgetMiB, "azure", settings, t.TempDir())
	return func(ctx context.Context) (backends.Bucket, error) { return azure.Open(ctx, cfg) }
}

// onGCS starts fake-gcs-server for the site.
func onGCS(t *testing.T, site *lab.Site, budgetMiB int) func(context.Context) (backends.Bucket, error) {
	t.Helper()
	s := server.FakeGCS(t)
	cfg := gcs.DefaultConfig()
	cfg.Bucket, cfg.Endpoint = s.Bucket, s.URL
	use(t, site, budgetMiB, "gcs", fmt.Sprintf("bucket = %q\nendpoint = %q", cfg.Bucket, cfg.Endpoint), t.TempDir())
	return func(ctx context.Context) (backends.Bucket, error) { return gcs.Open(ctx, cfg) }
}

func use(t *testing.T, site *lab.Site, budgetMiB int, backend, settings, dir string) {
	t.Helper()
	if err := site.Use(budgetMiB, backend, settings, dir); err != nil {
		t.Fatal(err)
	}
}

// fetch makes the site's directory a copy of what the server has.
func (p *pacs) fetch() {
	p.Helper()
	bucket, err := p.objects(p.ctx)
	if err != nil {
		p.Fatal(err)
	}
	dir := p.site.Bucket()
	if err := os.RemoveAll(dir.Dir); err != nil {
		p.Fatal(err)
	}
	if err := os.Mkdir(dir.Dir, 0o700); err != nil {
		p.Fatal(err)
	}
	for obj, err := range backends.All(p.ctx, bucket, "") {
		if err != nil {
			p.Fatal(err)
		}
		body := make([]byte, obj.Size)
		if n, _, err := bucket.Read(p.ctx, obj.Key, "", body, 0); err != nil || n != len(body) {
			p.Fatalf("%s: %d bytes of %d, error %v", obj.Key, n, len(body), err)
		}
		if err := os.MkdirAll(filepath.Dir(dir.Path(obj.Key)), 0o700); err != nil {
			p.Fatal(err)
		}
		if err := os.WriteFile(dir.Path(obj.Key), body, 0o600); err != nil {
			p.Fatal(err)
		}
	}
}
