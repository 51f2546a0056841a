// Package secretfile reads the files that hold the credentials of the cloud
// backends.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

const maxSize = 64 << 10 // bytes; the key file of a service account has 2,400

// Read returns what by has to say about path: somebody who may read what this
// process may not. Without, it returns the content of a regular file, or of a
// link to one, that neither group nor others have any permission for. Its errors
// say what to do, and name neither the file nor anything in it.
func Read(path string, by func(path string) ([]byte, error)) ([]byte, error) {
	if by != nil {
		return by(path)
	}
	// O_NONBLOCK: opening a named pipe would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: check the path and the owner of the file", errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file: give the path of one")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("mode %04o gives permissions to group or others: take them away with chmod 600", mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if len(text) > maxSize {
		return nil, errors.New("it is too large to be credentials: give the path of another")
	}
	return text, nil
}
