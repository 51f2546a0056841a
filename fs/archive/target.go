package archive

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"orthanc-bucketfs/fs/attachment"
)

// tempDir holds the files that are being written. Whoever holds its lock may
// remove what is in it.
const tempDir = ".orthanc-bucketfs-export"

// target is a directory that files are written to.
type target struct {
	root *os.Root
	lock *os.File // tempDir
}

// openTarget takes the directory for its own, and removes what an export that was
// killed has left.
func openTarget(root *os.Root) (*target, error) {
	if err := root.Mkdir(tempDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, withoutPath("making a directory for temporary files", err)
	}
	lock, err := root.Open(tempDir)
	if err != nil {
		return nil, withoutPath("opening the directory for temporary files", err)
	}
	t := &target{root, lock}
	if err := t.take(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return t, nil
}

func (t *target) take() error {
	err := syscall.Flock(int(t.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrBusy
	}
	if err != nil {
		return fmt.Errorf("locking the directory for temporary files: %w", err)
	}
	names, err := t.lock.Readdirnames(-1)
	if err != nil {
		return withoutPath("reading the directory for temporary files", err)
	}
	for _, name := range names {
		if err := t.root.Remove(path.Join(tempDir, name)); err != nil {
			return withoutPath("removing a temporary file", err)
		}
	}
	return nil
}

func (t *target) close() error {
	err := t.root.Remove(tempDir)
	if err != nil {
		err = withoutPath("removing the directory for temporary files", err)
	}
	return errors.Join(err, t.lock.Close())
}

// compare reports a difference between the file under key and a. Without a file
// the error wraps errVanished. A file that is the same is made durable: the run
// that wrote it may have been killed before it was.
func (t *target) compare(key string, a *attachment.File) error {
	info, err := t.root.Lstat(key)
	if err != nil {
		return withoutPath("looking at the file", err)
	}
	if !info.Mode().IsRegular() {
		return ErrDifferent
	}
	f, err := t.root.Open(key)
	if err != nil {
		return withoutPath("opening the file", err)
	}
	defer f.Close()
	same, err := equal(f, a)
	if err != nil {
		return err
	}
	if !same {
		return ErrDifferent
	}
	if err := f.Sync(); err != nil {
		return withoutPath("making the file durable", err)
	}
	return t.syncNames(key)
}

// write makes a the file under key, durably, unless there is one.
func (t *target) write(key string, a *attachment.File) error {
	bb := path.Dir(key)
	aa := path.Dir(bb)
	for _, dir := range []string{aa, bb} {
		if err := t.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return withoutPath("making a directory", err)
		}
	}
	temp := path.Join(tempDir, rand.Text())
	defer func() { _ = t.root.Remove(temp) }() // else the next run does
	if err := t.fill(temp, a); err != nil {
		return withoutPath("writing the file", err)
	}
	if err := t.root.Link(temp, key); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fs.ErrExist
		}
		return withoutLinkPaths(err)
	}
	return t.syncNames(key)
}

// syncNames makes the name of a file durable, and those of its directories.
func (t *target) syncNames(key string) error {
	bb := path.Dir(key)
	for _, dir := range []string{bb, path.Dir(bb), "."} {
		if err := t.sync(dir); err != nil {
			return withoutPath("making the file durable", err)
		}
	}
	return nil
}

// fill writes a to a new file.
func (t *target) fill(name string, a *attachment.File) (err error) {
	f, err := t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	chunk := make([]byte, chunkSize)
	for off := int64(0); ; {
		n := a.ReadAt(chunk, off)
		if _, err := f.Write(chunk[:n]); err != nil {
			return err
		}
		if off += int64(n); n < chunkSize {
			return f.Sync()
		}
	}
}

func (t *target) sync(dir string) error {
	d, err := t.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func withoutLinkPaths(err error) error {
	var l *os.LinkError
	if errors.As(err, &l) {
		err = l.Err
	}
	return withoutPath("giving the file its name", err)
}
