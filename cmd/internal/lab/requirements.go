package lab

import (
	"fmt"
	"os"
	"os/exec"
)

// CorpusDir holds the DICOM files of Debian's python3-pydicom.
const CorpusDir = "/usr/lib/python3/dist-packages/pydicom/data/test_files"

const orthancBinary = "/usr/sbin/Orthanc"

// Missing says what this machine lacks, one sentence each, with the Debian
// package that has it.
func Missing() []string {
	var missing []string
	lacks := func(what, where string) { missing = append(missing, what+" (Debian: "+where+")") }
	if _, err := os.Stat(orthancBinary); err != nil {
		lacks(orthancBinary, "orthanc")
	}
	if _, err := exec.LookPath("storescu"); err != nil {
		lacks("storescu", "dcmtk")
	}
	if _, err := exec.LookPath("fusermount3"); err != nil {
		lacks("fusermount3", "fuse3")
	}
	if _, err := os.Stat(CorpusDir); err != nil {
		lacks(CorpusDir, "python3-pydicom")
	}
	if err := openFuse(); err != nil {
		missing = append(missing, fmt.Sprintf("a usable /dev/fuse (%v)", err))
	}
	return missing
}

func openFuse() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
