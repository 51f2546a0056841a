package e2e_test

import (
	"os"
	"strings"
	"testing"

	"orthanc-bucketfs/cmd/internal/lab"
)

// TestBucketHoldsNoPatientData searches the bucket for who the images are of.
// That the search would find it shows in the same objects, unsealed.
func TestBucketHoldsNoPatientData(t *testing.T) {
	t.Parallel()
	p := newPACS(t, options{sync: true})
	images := p.storeByAllMeans(variants(0, len(shared.corpus)))
	words := p.patientWords()
	if len(words) < 10 {
		t.Fatalf("only %d words to search for: %v", len(words), words)
	}
	opened := lab.Bucket{Dir: t.TempDir()}
	p.openInto(opened)
	for _, word := range words {
		if found, err := opened.Containing([]string{word}); err != nil || len(found) == 0 {
			t.Errorf("no unsealed object has %q, error %v", word, err)
		}
	}
	if found, err := p.site.Bucket().Containing(words); err != nil || len(found) > 0 {
		t.Errorf("patient data in the bucket: %v, error %v", found, err)
	}
	p.checkBucket(attachments(images))
}

// patientWords returns names and identifiers of all patients, as far as they
// are long enough not to turn up in random bytes.
func (p *pacs) patientWords() []string {
	p.Helper()
	patients, err := p.orthanc.Patients(p.ctx)
	if err != nil {
		p.Fatal(err)
	}
	return lab.PatientWords(patients)
}

// openInto writes every object, unsealed, into a directory.
func (p *pacs) openInto(opened lab.Bucket) {
	p.Helper()
	_, objects := p.list()
	err := lab.Each(4, objects, func(name string) error {
		plain, err := p.unseal(name)
		if err != nil {
			return err
		}
		return os.WriteFile(opened.Path(strings.ReplaceAll(name, "/", "-")), plain, 0o600)
	})
	if err != nil {
		p.Fatal(err)
	}
}
