package e2e_test

import "testing"

// TestCorpus sees that the DICOM files are the varied lot the other tests rely
// on: a corpus that has moved or shrunk must not pass unnoticed.
func TestCorpus(t *testing.T) {
	require(t)
	identifiers, syntaxes, classes := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, i := range shared.corpus {
		identifiers[i.UID], syntaxes[i.TransferSyntax], classes[i.SOPClass] = true, true, true
	}
	if len(identifiers) < 40 || len(identifiers) != len(shared.corpus) || len(syntaxes) < 10 || len(classes) < 5 {
		t.Errorf("%d instances, %d of them distinct, with %d transfer syntaxes, of %d classes",
			len(shared.corpus), len(identifiers), len(syntaxes), len(classes))
	}
}
