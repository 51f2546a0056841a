package e2e_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"orthanc-bucketfs/cmd/internal/lab"
)

// TestDICOMweb stores series by STOW-RS and shows them by WADO-RS, with the
// index on the mount. The plugin keeps what viewers ask for first, the metadata
// of a whole series, as one more attachment.
func TestDICOMweb(t *testing.T) {
	for _, suite := range otherDebians() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			p := newPACS(t, options{sync: true, suite: suite, plugins: []string{lab.DICOMweb}, more: map[string]any{"StableAge": 1}})
			instances := p.storeByDICOMweb(12)
			p.checkDICOMweb(instances)
			p.awaitCachedMetadata()
			p.checkBucket(p.allAttachments())
			p.checkDICOMweb(instances)
			p.restartAll()
			p.checkDICOMweb(instances)

			ids, err := p.orthanc.Instances(p.ctx)
			if err != nil {
				p.Fatal(err)
			}
			if err := lab.Each(4, ids, func(id string) error { return p.orthanc.Delete(p.ctx, id) }); err != nil {
				p.Fatal(err)
			}
			p.checkBucket(0)
		})
	}
}

// storeByDICOMweb stores n instances of one series.
func (p *pacs) storeByDICOMweb(n int) []lab.Instance {
	p.Helper()
	var instances []lab.Instance
	for k := range n {
		instances = append(instances, large(k, 64<<10))
	}
	for share := range slices.Chunk(instances, 4) {
		if err := p.orthanc.StoreWeb(p.ctx, share); err != nil {
			p.Fatal(err)
		}
	}
	return instances
}

// checkDICOMweb sees that the instances, and no others, are found, described and
// shown.
func (p *pacs) checkDICOMweb(stored []lab.Instance) {
	p.Helper()
	found, err := p.orthanc.SearchWeb(p.ctx)
	if err != nil {
		p.Fatal(err)
	}
	if len(found) != len(stored) {
		p.Errorf("QIDO-RS finds %d instances of %d", len(found), len(stored))
	}
	described, err := p.orthanc.MetadataWeb(p.ctx, found[0].SeriesPath())
	if err != nil {
		p.Fatal(err)
	}
	if len(described) != len(stored) {
		p.Errorf("WADO-RS describes %d instances of %d", len(described), len(stored))
	}
	err = lab.Each(4, stored, func(i lab.Instance) error {
		for _, list := range [][]lab.WebInstance{found, described} {
			n := slices.IndexFunc(list, func(w lab.WebInstance) bool { return w.UID == i.UID })
			if n < 0 {
				return fmt.Errorf("%s is missing", i.Name)
			}
			frame, err := p.orthanc.FrameWeb(p.ctx, list[n])
			if err != nil {
				return fmt.Errorf("%s: %w", i.Name, err)
			}
			if len(frame) < len(i.Data)/2 || !bytes.Contains(i.Data, frame) {
				return fmt.Errorf("%s: WADO-RS shows %d other bytes", i.Name, len(frame))
			}
		}
		return nil
	})
	if err != nil {
		p.Error(err)
	}
}

// awaitCachedMetadata returns when every series has its attachment, which comes
// a while after the last instance; nothing tells of it.
func (p *pacs) awaitCachedMetadata() {
	p.Helper()
	for {
		cached, err := p.orthanc.CachedMetadata(p.ctx)
		if err != nil {
			p.Fatal(err)
		}
		if p.ctx.Err() != nil {
			p.Fatal("the series have no cached metadata: ", cached)
		}
		missing := false
		for _, names := range cached {
			missing = missing || len(names) == 0
		}
		if !missing {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// allAttachments counts those of all instances and series.
func (p *pacs) allAttachments() int {
	p.Helper()
	ids, err := p.orthanc.Instances(p.ctx)
	if err != nil {
		p.Fatal(err)
	}
	n := 0
	for _, id := range ids {
		names, err := p.orthanc.Attachments(p.ctx, id)
		if err != nil {
			p.Fatal(err)
		}
		n += len(names)
	}
	cached, err := p.orthanc.CachedMetadata(p.ctx)
	if err != nil {
		p.Fatal(err)
	}
	for _, names := range cached {
		n += len(names)
	}
	return n
}
