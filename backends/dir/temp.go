package dir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const tempRetries = 10

// temp is a temporary file, locked until it is discarded.
type temp struct {
	root *os.Root
	file *os.File
	name string // relative to root
}

// newTemp makes an empty temporary file. The lock comes after the creation, so
// a sweep may have taken the file in between; then it makes another.
func (b *Bucket) newTemp() (*temp, error) {
	for range tempRetries {
		name := tmpDir + "/" + rand.Text()
		f, err := b.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			if err := b.mkdir(tmpDir); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		t := &temp{b.root, f, name}
		kept, err := t.lock()
		if err == nil && kept {
			err = b.given(f)
			kept = err == nil
		}
		if kept {
			return t, nil
		}
		t.discard()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no temporary file can be kept in %s: other processes keep removing it", tmpDir)
}

// lock tells whether the file is locked and still has its name.
func (t *temp) lock() (bool, error) {
	if locked, err := tryLock(t.file); !locked {
		return false, err
	}
	own, err := t.file.Stat()
	if err != nil {
		return false, err
	}
	named, err := t.root.Lstat(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(own, named), err
}

// stamp sets the modification time, which is part of the version.
func (t *temp) stamp() error {
	now := time.Now()
	return t.root.Chtimes(t.name, now, now)
}

// discard removes the temporary name and unlocks the file. A name that cannot
// be removed is left to the next sweep.
func (t *temp) discard() {
	_ = t.root.Remove(t.name)
	t.file.Close()
}

// sweep removes the temporary files that nobody holds locked.
func (b *Bucket) sweep() error {
	err := b.checkDir(tmpDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	entries, err := fs.ReadDir(b.root.FS(), tmpDir)
	if err != nil {
		return tolerate(err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := tolerate(b.sweepFile(tmpDir + "/" + e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bucket) sweepFile(name string) error {
	f, err := b.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if locked, err := tryLock(f); !locked {
		return err
	}
	return b.root.Remove(name)
}

// tolerate drops the errors that only keep a temporary file from being
// removed, and the one of a file whose owner was faster.
func tolerate(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// tryLock locks an open file, and does not wait for another's lock.
func tryLock(f *os.File) (bool, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var lockErr error
	err = conn.Control(func(fd uintptr) {
		lockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	switch {
	case err != nil:
		return false, err
	case errors.Is(lockErr, syscall.EWOULDBLOCK):
		return false, nil
	case lockErr != nil:
		return false, fmt.Errorf("flock: %w", lockErr)
	}
	return true, nil
}
