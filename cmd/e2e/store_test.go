package e2e_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"orthanc-bucketfs/cmd/internal/lab"
)

// TestStoreReadDelete is a day in the life of an Orthanc, with each of the
// settings that change how it uses its storage, and with its index on the mount
// and elsewhere.
func TestStoreReadDelete(t *testing.T) {
	for _, sync := range []bool{true, false} {
		for _, compress := range []bool{true, false} {
			t.Run(fmt.Sprintf("SyncStorageArea=%v,StorageCompression=%v", sync, compress), func(t *testing.T) {
				t.Parallel()
				day(newPACS(t, options{sync: sync, compress: compress, apart: !compress}))
			})
		}
	}
	t.Run("with all rights", func(t *testing.T) {
		t.Parallel()
		day(newPACS(t, options{sync: true, allRights: true}))
	})
	for _, suite := range otherDebians() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			day(newPACS(t, options{sync: true, suite: suite, plugins: []string{lab.DICOMweb}}))
		})
		t.Run(suite+" without SyncStorageArea, with StorageCompression", func(t *testing.T) {
			t.Parallel()
			day(newPACS(t, options{compress: true, apart: true, suite: suite}))
		})
	}
}

// day stores the corpus, two larger images, and more.
func day(p *pacs, more ...lab.Instance) {
	images := p.storeByAllMeans(variants(0, len(shared.corpus)))
	images = append(images, p.uploadAll(append(more, large(1, 3<<20), large(2, 3<<20))...)...)
	p.checkBucket(attachments(images))
	p.checkAll(images)
	p.restartOrthanc()
	p.checkAll(images)
	p.restartAll()
	p.checkAll(images)

	half := len(images) / 2
	p.deleteAll(images[:half])
	p.checkBucket(attachments(images[half:]))
	p.checkAll(images[half:])
	p.deleteAll(images[half:])
	p.checkBucket(0)
}

// sending stores instances in one way, as one client.
type sending func() ([]lab.Image, error)

func (p *pacs) byREST(i lab.Instance) sending {
	return func() ([]lab.Image, error) {
		stored, err := p.orthanc.StoreREST(p.ctx, i)
		return []lab.Image{stored}, err
	}
}

func (p *pacs) byCStore(instances []lab.Instance) sending {
	return func() ([]lab.Image, error) { return p.orthanc.StoreDICOM(p.ctx, instances) }
}

// storeAll runs the sendings, that many at once.
func (p *pacs) storeAll(clients int, sendings []sending) []lab.Image {
	p.Helper()
	var mu sync.Mutex // guards images
	var images []lab.Image
	err := lab.Each(clients, sendings, func(send sending) error {
		stored, err := send()
		mu.Lock()
		defer mu.Unlock()
		images = append(images, stored...)
		return err
	})
	if err != nil {
		p.Fatal(err)
	}
	return images
}

// storeByAllMeans sends half of the instances by C-STORE, half by REST, four
// clients of each kind at once.
func (p *pacs) storeByAllMeans(instances []lab.Instance) []lab.Image {
	p.Helper()
	half := len(instances) / 2
	var sendings []sending
	for share := range slices.Chunk(instances[:half], (half+3)/4) {
		sendings = append(sendings, p.byCStore(share))
	}
	for _, i := range instances[half:] {
		sendings = append(sendings, p.byREST(i))
	}
	return p.storeAll(8, sendings)
}

// uploadAll sends the instances by REST, all at once.
func (p *pacs) uploadAll(instances ...lab.Instance) []lab.Image {
	p.Helper()
	var sendings []sending
	for _, i := range instances {
		sendings = append(sendings, p.byREST(i))
	}
	return p.storeAll(len(instances), sendings)
}

func (p *pacs) deleteAll(images []lab.Image) {
	p.Helper()
	err := lab.Each(4, images, func(i lab.Image) error { return p.orthanc.Delete(p.ctx, i.ID) })
	if err != nil {
		p.Fatal(err)
	}
	for _, i := range images {
		if found, err := p.orthanc.Find(p.ctx, i.UID); err != nil || len(found) > 0 {
			p.Errorf("%s is still there after its deletion: %v, error %v", i.Name, found, err)
		}
	}
}
