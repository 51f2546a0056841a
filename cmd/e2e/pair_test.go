package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/lab"
)

// pair are two machines, each with an Orthanc, a daemon and a mount, that share
// their index in PostgreSQL, their bucket in S3, and the key.
type pair struct {
	*testing.T
	ctx       context.Context
	overwrite bool // OverwriteInstances
	machines  [2]*pacs
	bucket    backends.Bucket

	mu                    sync.Mutex // guards what follows
	next                  int        // the number of the last instance
	images                map[string]lab.Image
	reads, wrong, refused int
	shown                 time.Duration // for how long a deleted file was, at most
}

func newPair(t *testing.T, suite string, overwrite bool) *pair {
	t.Helper()
	require(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	index := startPostgreSQL(t, ctx, suite)
	store := startS3(t)
	p := &pair{T: t, ctx: ctx, overwrite: overwrite, bucket: store.bucket, images: map[string]lab.Image{}}
	p.next = 1_000_000 // a burst has numbers of its own, from 1 on
	for n := range p.machines {
		more := index.Settings(fmt.Sprintf("machine-%d", n))
		more["OverwriteInstances"] = overwrite
		p.machines[n] = p.newMachine(store, options{
			sync: true, suite: suite, plugins: []string{lab.PostgreSQLIndex, lab.DICOMweb}, more: more,
		})
	}
	return p
}

// newMachine starts one with the key of the first, if there is a first.
func (p *pair) newMachine(store cloud, opts options) *pacs {
	p.Helper()
	const budgetMiB = 64
	site, err := lab.NewSite(p.ctx, shared.raced, p.TempDir(), budgetMiB)
	must(p.T, err)
	must(p.T, site.Use(budgetMiB, "s3", store.settings, store.objects))
	if first := p.machines[0]; first != nil {
		key, err := os.ReadFile(first.site.Key())
		must(p.T, err)
		must(p.T, os.WriteFile(site.Key(), key, 0o600))
	}
	m := &pacs{T: p.T, ctx: p.ctx, options: opts, site: site}
	p.Cleanup(m.close)
	m.mount()
	m.startOrthanc()
	return m
}

// startPostgreSQL starts one that ends with the test.
func startPostgreSQL(t *testing.T, ctx context.Context, suite string) *lab.PostgreSQL {
	t.Helper()
	port, err := shared.ports.Free()
	must(t, err)
	server, err := lab.StartPostgreSQL(ctx, debian(t, suite), t.TempDir(), port)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Errorf("%v:\n%s", err, server.Log.Tail(20))
		}
	})
	return server
}

// number returns one that no instance has yet.
func (p *pair) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	return p.next
}

// instances returns n new ones of the corpus.
func (p *pair) instances(n int) []lab.Instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next += n
	return variants(p.next-n+1, n)
}

// store stores by REST, C-STORE or STOW-RS.
func store(m *pacs, i lab.Instance, means int) (lab.Image, error) {
	switch means % 3 {
	case 0:
		return m.orthanc.StoreREST(m.ctx, i)
	case 1:
		images, err := m.orthanc.StoreDICOM(m.ctx, []lab.Instance{i})
		if err != nil {
			return lab.Image{}, err
		}
		return images[0], nil
	default:
		if err := m.orthanc.StoreWeb(m.ctx, []lab.Instance{i}); err != nil {
			return lab.Image{}, err
		}
		return m.orthanc.Lookup(m.ctx, i)
	}
}

// keep notes that an image was acknowledged.
func (p *pair) keep(i lab.Image) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.images[i.ID] = i
}

func (p *pair) kept() []lab.Image {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.images))
}

func (p *pair) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused++
}

// read reads an image through both machines.
func (p *pair) read(i lab.Image) error {
	sum := i.Sums[lab.DICOM]
	return errors.Join(p.readOn(p.machines[0], i, sum), p.readOn(p.machines[1], i, sum))
}

// readOn reads an image through a machine, by REST and DICOMweb. What it shows
// must have one of the sums; the error is that it shows nothing.
func (p *pair) readOn(m *pacs, i lab.Image, sums ...string) error {
	for _, get := range []func() ([]byte, error){
		func() ([]byte, error) { return m.orthanc.File(p.ctx, i.ID) },
		func() ([]byte, error) { return m.orthanc.Attachment(p.ctx, i.ID, lab.DICOM) },
		func() ([]byte, error) { return retrieve(m, i) },
	} {
		content, err := get()
		if err != nil {
			return fmt.Errorf("%s: %w", i.Name, err)
		}
		p.compare(i, lab.MD5(content), sums)
	}
	return nil
}

// retrieve finds an image by QIDO-RS and returns it by WADO-RS.
func retrieve(m *pacs, i lab.Image) ([]byte, error) {
	found, err := m.orthanc.FindWeb(m.ctx, i.UID)
	if err != nil {
		return nil, err
	}
	return m.orthanc.RetrieveWeb(m.ctx, found)
}

func (p *pair) compare(i lab.Image, sum string, sums []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	if !slices.Contains(sums, sum) {
		p.wrong++
		p.Errorf("%s was shown with MD5 %s, want %s", i.Name, sum, strings.Join(sums, " or "))
	}
}

// readMetadata sees that both machines describe all instances of every series.
func (p *pair) readMetadata() error {
	found, err := p.machines[0].orthanc.SearchWeb(p.ctx)
	if err != nil {
		return err
	}
	series := map[string]int{}
	for _, i := range found {
		series[i.SeriesPath()]++
	}
	for path, want := range series {
		for _, m := range p.machines {
			described, err := m.orthanc.MetadataWeb(p.ctx, path)
			if err != nil {
				return err
			}
			if len(described) != want {
				return fmt.Errorf("WADO-RS describes %d instances of %d", len(described), want)
			}
		}
	}
	return nil
}

// awaitGone returns when a mount does not show a file any more. That of the other
// machine may show it for 10 s; the limit is for machines under load.
func (p *pair) awaitGone(m *pacs, uuid string, limit time.Duration) error {
	path := filepath.Join(m.site.Mountpoint(), uuid[:2], uuid[2:4], uuid)
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		_, err := os.Stat(path)
		shown := time.Since(start)
		if errors.Is(err, fs.ErrNotExist) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.shown = max(p.shown, shown)
			return nil
		}
		if err != nil {
			return err
		}
		if shown > limit {
			return fmt.Errorf("%s was deleted, and a mount shows it after %v", uuid, shown)
		}
	}
}

// checkIndex sees that both machines have the images that were acknowledged, and
// no others.
func (p *pair) checkIndex() {
	p.Helper()
	want := slices.Sorted(maps.Keys(p.images))
	for _, m := range p.machines {
		ids, err := m.orthanc.Instances(p.ctx)
		slices.Sort(ids)
		if err != nil || !slices.Equal(ids, want) {
			p.Errorf("there are %d instances, want %d, error %v", len(ids), len(want), err)
		}
	}
}

// checkBucket sees that the bucket holds the files that the index knows, and no
// others but those that a log names. The daemon that follows one that was killed
// deletes what that was storing.
func (p *pair) checkBucket() {
	p.Helper()
	unknown, missing := p.compareBucket()
	for end := time.Now().Add(time.Minute); len(unknown) > 0 && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		unknown, missing = p.compareBucket()
	}
	if len(unknown) > 0 || len(missing) > 0 {
		p.Errorf("neither the index nor a log knows %v, which the bucket has; it lacks %v, which the index knows", unknown, missing)
	}
}

func (p *pair) compareBucket() (unknown, missing []string) {
	p.Helper()
	logs := p.machines[0].daemon.Log.String() + p.machines[1].daemon.Log.String()
	known, err := p.known()
	must(p.T, err)
	for obj, err := range backends.All(p.ctx, p.bucket, "") {
		must(p.T, err)
		uuid := filepath.Base(obj.Key)
		if !known[uuid] && !named(logs, uuid) {
			unknown = append(unknown, uuid)
		}
		delete(known, uuid)
	}
	return unknown, slices.Collect(maps.Keys(known))
}

// named says whether a log names an object that may be left.
func named(log, uuid string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, uuid) && strings.Contains(line, "delete it by hand") {
			return true
		}
	}
	return false
}

// known returns the UUIDs of all files that the index knows.
func (p *pair) known() (map[string]bool, error) {
	known, o := map[string]bool{}, p.machines[0].orthanc
	series, err := o.CachedMetadata(p.ctx)
	if err != nil {
		return nil, err
	}
	for id, names := range series {
		for _, name := range names {
			uuid, err := o.AttachmentUUID(p.ctx, "series", id, name)
			if err != nil {
				return nil, err
			}
			known[uuid] = true
		}
	}
	ids, err := o.Instances(p.ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		uuid, err := o.AttachmentUUID(p.ctx, "instances", id, lab.DICOM)
		if err != nil {
			return nil, err
		}
		known[uuid] = true
	}
	return known, nil
}
