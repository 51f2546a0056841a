package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"orthanc-bucketfs/backends"
)

// TestClouds is a day in the life of an Orthanc whose images are on a server,
// one of them so large that it goes there in several requests.
func TestClouds(t *testing.T) {
	require(t)
	for backend, start := range clouds() {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			day(newPACS(t, options{sync: true, cloud: start(t)}), large(3, 20<<20))
		})
	}
}

// TestCloudsKillDuringBurst is TestKillDuringBurst with servers.
func TestCloudsKillDuringBurst(t *testing.T) {
	require(t)
	for backend, start := range clouds() {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			p := newPACS(t, options{sync: true, cloud: start(t)})
			all := p.killInBurst(func(b *burst) error { return b.awaitAcks(p.ctx, 1) })
			p.mount()
			p.replaceOrthanc()
			p.checkAftermath(all)
		})
	}
}

// use puts the site's bucket on the server. What a server does not
// keep as files is copied to a directory whenever it is looked into.
func (p *pacs) use(c cloud) {
	p.Helper()
	if c.objects == "" {
		c.objects, p.remote = p.TempDir(), c.bucket
	}
	if err := p.site.Use(p.options.budgetMiB, c.backend, c.settings, c.objects); err != nil {
		p.Fatal(err)
	}
}

// fetch makes the site's directory a copy of what the server has.
func (p *pacs) fetch() {
	p.Helper()
	dir := p.site.Bucket()
	if err := os.RemoveAll(dir.Dir); err != nil {
		p.Fatal(err)
	}
	if err := os.Mkdir(dir.Dir, 0o700); err != nil {
		p.Fatal(err)
	}
	for obj, err := range backends.All(p.ctx, p.remote, "") {
		if err != nil {
			p.Fatal(err)
		}
		body := make([]byte, obj.Size)
		if n, _, err := p.remote.Read(p.ctx, obj.Key, "", body, 0); err != nil || n != len(body) {
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
