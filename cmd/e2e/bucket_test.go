package e2e_test

import (
	"os"

	"orthanc-bucketfs/cmd/internal/lab"
)

// envelopeOverhead is what sealing adds to a file, in bytes.
const envelopeOverhead = 86

// checkBucket sees that the bucket holds as many files as Orthanc has
// attachments, that all are objects in envelopes, and that their sizes add up.
func (p *pacs) checkBucket(attachments int) {
	p.Helper()
	files, objects := p.list()
	if len(files) != attachments || len(objects) != attachments {
		p.Errorf("bucket has %d files, %d of them objects; Orthanc has %d attachments", len(files), len(objects), attachments)
	}
	if open, err := p.site.Bucket().NotSealed(); err != nil || len(open) > 0 {
		p.Errorf("not sealed: %v, error %v", open, err)
	}
	statistics, err := p.orthanc.Statistics(p.ctx)
	if err != nil {
		p.Fatal(err)
	}
	want := statistics.TotalDiskSize + int64(attachments)*envelopeOverhead
	if got := p.size(objects); got != want {
		p.Errorf("objects have %d bytes, want %d", got, want)
	}
}

func (p *pacs) list() (files, objects []string) {
	p.Helper()
	if p.remote != nil {
		p.fetch()
	}
	files, err := p.site.Bucket().Files()
	if err != nil {
		p.Fatal(err)
	}
	if objects, err = p.site.Bucket().Objects(); err != nil {
		p.Fatal(err)
	}
	return files, objects
}

func (p *pacs) size(objects []string) (sum int64) {
	p.Helper()
	for _, name := range objects {
		info, err := os.Stat(p.site.Bucket().Path(name))
		if err != nil {
			p.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}

// checkEnvelopes sees that every object is whole: that it unseals.
func (p *pacs) checkEnvelopes(objects []string) {
	p.Helper()
	err := lab.Each(4, objects, func(name string) error {
		_, err := p.unseal(name)
		return err
	})
	if err != nil {
		p.Error(err)
	}
}

// unseal opens an object with the binary that starts fastest.
func (p *pacs) unseal(name string) ([]byte, error) {
	site := *p.site
	site.Binary = shared.plain
	return site.Unseal(p.ctx, site.Bucket().Path(name))
}
