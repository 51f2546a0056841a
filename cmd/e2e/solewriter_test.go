package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A day of an Orthanc whose images nobody else stores, and a burst of images
// that ends with a kill: the next daemon learns what there is.
func TestSoleWriterServesOrthanc(t *testing.T) {
	alone := options{sync: true, apart: true, alone: true}
	t.Run("day", func(t *testing.T) {
		t.Parallel()
		p := newPACS(t, alone)
		p.awaitNames()
		day(p)
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		p := newPACS(t, alone)
		p.awaitNames()
		all := p.killInBurst(func(b *burst) error { return b.awaitAcks(p.ctx, 1) })
		p.mount()
		p.awaitNames()
		p.replaceOrthanc()
		p.checkAftermath(all)
	})
}

// awaitNames waits until the daemon knows all names.
func (p *pacs) awaitNames() {
	p.Helper()
	if err := p.daemon.Await(p.ctx, "the names of all files are known"); err != nil {
		p.Fatal(err)
	}
}

// A daemon that is told to be the only one that stores: what the bucket held
// before is there, new files are, and whoever stores beside it is refused, or
// found out.
func TestSoleWriter(t *testing.T) {
	t.Parallel()
	ctx, site := newPluginSite(t, pluginBucket{"sealed-legacy", "legacy", "", true}, "sole_writer = true")
	daemon := mustMount(t, ctx, site)
	if err := daemon.Await(ctx, "the names of all files are known"); err != nil {
		t.Fatal(err)
	}
	for path := range pluginSums(t) {
		if _, err := os.Stat(filepath.Join(site.Mountpoint(), path)); err != nil {
			t.Errorf("what was there before: %v", err)
		}
	}
	mounted := filepath.Join(site.Mountpoint(), attachment)
	if _, err := os.Stat(mounted); !os.IsNotExist(err) {
		t.Errorf("before the store: %v", err)
	}
	storeFile(t, mounted, "content")
	if content, err := os.ReadFile(mounted); err != nil || string(content) != "content" {
		t.Errorf("read %q, %v", content, err)
	}
	if out, code := command(t, ctx, site, "import", t.TempDir()); code != 2 || !strings.Contains(out, "sole_writer") {
		t.Errorf("import exits with %d:\n%s", code, out)
	}

	const theirs = "00/00/00000000-1111-4222-8333-444455556666"
	if _, err := os.Stat(filepath.Join(site.Mountpoint(), theirs)); !os.IsNotExist(err) {
		t.Errorf("before somebody else stores it: %v", err)
	}
	body, err := os.ReadFile(site.Bucket().Path("pacs/" + attachment))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(site.Bucket().Path("pacs/"+theirs)), 0o700)
	}
	if err == nil {
		err = os.WriteFile(site.Bucket().Path("pacs/"+theirs), body, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Await(ctx, "a file was reported missing that somebody else has stored"); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(site.Mountpoint(), theirs)); err != nil || string(content) != "content" {
		t.Errorf("read %q, %v", content, err)
	}
	if err := daemon.Stop(ctx); err != nil {
		t.Error(err)
	}
	if out, code := command(t, ctx, site, "import", t.TempDir()); code != 0 {
		t.Errorf("import without the mount exits with %d:\n%s", code, out)
	}
}
