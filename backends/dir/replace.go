package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends"
)

// lockPoll is the time between two tries to lock an object.
const lockPoll = time.Millisecond

// Replace gives a temporary file the object's name. A name can be taken over
// atomically, but not on the condition that it stands for a certain file: whoever
// replaces or deletes an object holds a lock on its file meanwhile.
func (b *Bucket) Replace(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
	if err := admit(ctx, "replace", key); err != nil {
		return backends.Object{}, err
	}
	obj, err := b.replace(ctx, key, version, body)
	if err != nil {
		return backends.Object{}, &backends.Error{Op: "replace", Key: key, Err: err}
	}
	return obj, nil
}

func (b *Bucket) replace(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
	if err := b.checkVersion(key, version); err != nil {
		return backends.Object{}, err
	}
	t, fi, err := b.stage(ctx, body)
	if err != nil {
		return backends.Object{}, opaque(err)
	}
	defer t.discard()
	held, err := b.lockObject(ctx, key)
	if err != nil {
		return backends.Object{}, changed(err)
	}
	defer held.Close()
	if err := b.checkVersion(key, version); err != nil {
		return backends.Object{}, err
	}
	if err := b.root.Rename(t.name, key); err != nil {
		return backends.Object{}, opaque(err)
	}
	if err := b.syncDir(path.Dir(key)); err != nil {
		return backends.Object{}, fmt.Errorf("the new version may not be durable: %w", opaque(err))
	}
	return describe(key, fi), nil
}

// checkVersion returns ErrChanged unless the object is of that version.
func (b *Bucket) checkVersion(key, version string) error {
	fi, err := b.lstat(key)
	if err != nil {
		return changed(err)
	}
	if describe(key, fi).Version != version {
		return backends.ErrChanged
	}
	return nil
}

// changed is what an object that is missing means to whoever replaces it.
func changed(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return backends.ErrChanged
	}
	return err
}

// lockObject locks the file that is the object, and keeps it from being replaced
// or deleted, until the file is closed. The error is fs.ErrNotExist if there is
// none.
func (b *Bucket) lockObject(ctx context.Context, key string) (*os.File, error) {
	for {
		f, locked, err := b.tryLockObject(key)
		if locked || err != nil {
			return f, err
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tryLockObject reports false if somebody else holds the lock, or has replaced
// the file before it was locked.
func (b *Bucket) tryLockObject(key string) (f *os.File, locked bool, err error) {
	if _, err := b.lstat(key); err != nil {
		return nil, false, err
	}
	f, err = b.root.OpenFile(key, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil // deleted in between, which the next try tells
	}
	if err != nil {
		return nil, false, err
	}
	locked, err = b.tryLockNamed(f, key)
	if !locked {
		f.Close()
		return nil, false, err
	}
	return f, true, nil
}

// tryLockNamed tells whether f is locked and still has its name. The lock is of
// another kind than that of temporary files, which have the same inode while
// they become objects.
func (b *Bucket) tryLockNamed(f *os.File, key string) (bool, error) {
	err := fcntlLock(f)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("lock: %w", err)
	}
	own, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := b.root.Lstat(key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(own, named), err
}

func fcntlLock(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	err = conn.Control(func(fd uintptr) {
		lockErr = unix.FcntlFlock(fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
	})
	return errors.Join(err, lockErr)
}
