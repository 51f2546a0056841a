package e2e_test

import (
	"testing"

	"orthanc-bucketfs/cmd/internal/lab"
)

// TestSameFilesAsOnDisk sends the same instances by C-STORE to an Orthanc on a
// mount and to one on a plain directory: both must hold the same bytes.
func TestSameFilesAsOnDisk(t *testing.T) {
	t.Parallel()
	p := newPACS(t, options{sync: true})
	onDisk := *p
	storage := t.TempDir()
	onDisk.orthanc = startOrthanc(p.ctx, t, storage, storage, p.options)
	instances := variants(0, len(shared.corpus))
	images, err := p.orthanc.StoreDICOM(p.ctx, instances)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := onDisk.orthanc.StoreDICOM(p.ctx, instances)
	if err != nil {
		t.Fatal(err)
	}
	for n, i := range images {
		if i.Sums[lab.DICOM] != reference[n].Sums[lab.DICOM] {
			t.Errorf("%s: MD5 on the mount %s, on disk %s", i.Name, i.Sums[lab.DICOM], reference[n].Sums[lab.DICOM])
		}
	}
	p.checkAll(images)
	onDisk.checkAll(reference)
}
