package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Corpus returns the files of CorpusDir that a modality could send, each as an
// instance of its own (several files describe the same one).
//
// Left out are files that ParseInstance refuses (no meta header, or
// identifiers that the data set does not repeat: neither storescu nor Variant
// can do with them), and the few named in unsendable.
func Corpus() ([]Instance, error) {
	paths, err := filepath.Glob(filepath.Join(CorpusDir, "*.dcm"))
	if err != nil {
		return nil, err
	}
	var corpus []Instance
	for n, path := range paths {
		if unsendable(filepath.Base(path)) {
			continue
		}
		instance, err := readInstance(path)
		if errors.Is(err, ErrNotInstance) {
			continue
		}
		if err != nil {
			return nil, err
		}
		corpus = append(corpus, instance.Variant(n))
	}
	if len(corpus) == 0 {
		return nil, fmt.Errorf("no DICOM files in %s: install Debian's python3-pydicom", CorpusDir)
	}
	return corpus, nil
}

// CorpusFile returns one file of the corpus as it is.
func CorpusFile(name string) (Instance, error) {
	return readInstance(filepath.Join(CorpusDir, name))
}

func readInstance(path string) (Instance, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Instance{}, err
	}
	return ParseInstance(filepath.Base(path), data)
}

func unsendable(name string) bool {
	switch name {
	case "MR_truncated.dcm", // pixel data is cut off
		"SC_rgb_jpeg.dcm",       // meta header names another transfer syntax than the data set has
		"rtdose_rle.dcm",        // identifiers are typed UN, dcmtk does not see them
		"rtdose_rle_1frame.dcm": // as above
		return true
	}
	return false
}
