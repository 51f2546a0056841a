package access

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"
)

// repeats is how often Orthanc from 1.12.5 on repeats a store that failed.
const repeats = 3

// Repeatedly calls store, which fails, again as Orthanc 1.12.7 does: three times,
// 4 to 13 ms apart. It returns how many calls there were, and the last error.
func Repeatedly(store func() error) (tries int, err error) {
	for tries = 1; ; tries++ {
		if err = store(); err == nil || tries > repeats {
			return tries, err
		}
		time.Sleep(4*time.Millisecond + rand.N(9*time.Millisecond))
	}
}

// StoreRepeatedly stores a new file as Orthanc 1.12.7 does: it makes no
// directories, and repeats what fails without another look whether the name is
// free. It returns how many times it tried to write the file.
func StoreRepeatedly(file string, content []byte) (tries int, err error) {
	switch _, err := os.Stat(file); {
	case err == nil:
		return 0, errors.New("the file is there already")
	case !errors.Is(err, fs.ErrNotExist):
		return 0, err
	}
	return Repeatedly(func() error { return write(file, content) })
}

// Remove deletes a file.
func Remove(file string) error {
	if _, err := os.Lstat(file); err != nil {
		return err
	}
	return os.Remove(file)
}
