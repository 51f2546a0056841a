// Package access does to files what a stock Orthanc 1.10.1 does to those of its
// storage directory, or 1.12.7 where that is said, for whoever measures or counts
// what that costs, or what becomes of them.
package access

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// piece is how many bytes Orthanc writes at a time.
const piece = 4096

// Store stores a new file, durably.
func Store(file string, content []byte) error {
	switch _, err := os.Stat(file); {
	case err == nil:
		return errors.New("the file is there already")
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	makeDirs(file)
	return write(file, content)
}

// write makes a file, durably.
func write(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	for off := 0; off < len(content) && err == nil; off += piece {
		_, err = f.Write(content[off:min(off+piece, len(content))])
	}
	if err == nil {
		err = syscall.Fdatasync(int(f.Fd()))
	}
	return errors.Join(err, f.Close())
}

// makeDirs makes AA and AA/BB.
func makeDirs(file string) {
	dir := path.Dir(file)
	_ = os.Mkdir(path.Dir(dir), 0o777) // they are there
	_ = os.Mkdir(dir, 0o777)
}

// Read reads a file from its beginning, as much of it as into holds, and returns
// how many bytes that is.
func Read(file string, into []byte) (int, error) {
	for range 2 {
		if _, err := os.Stat(file); err != nil {
			return 0, err
		}
	}
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return 0, err
	}
	return io.ReadFull(f, into[:min(end, int64(len(into)))])
}

// Names returns names of n files: AA/BB and UUIDs that nobody else has.
func Names(n int) ([]string, error) {
	names := make([]string, n)
	for i := range names {
		var u [16]byte
		if _, err := rand.Read(u[:]); err != nil {
			return nil, err
		}
		u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
		digits := hex.EncodeToString(u[:])
		names[i] = path.Join(digits[:2], digits[2:4],
			digits[:8]+"-"+digits[8:12]+"-"+digits[12:16]+"-"+digits[16:20]+"-"+digits[20:])
	}
	return names, nil
}
