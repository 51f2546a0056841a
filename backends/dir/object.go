package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"orthanc-bucketfs/backends"
)

// lstat describes the file that is the object under key. The error is
// fs.ErrNotExist if there is none.
func (b *Bucket) lstat(key string) (fs.FileInfo, error) {
	if err := b.checkParents(key); err != nil {
		if missing(err) {
			return nil, b.absent()
		}
		return nil, err
	}
	fi, err := b.root.Lstat(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, b.absent()
	}
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	return fi, nil
}

// absent returns what it means that an object is not there: fs.ErrNotExist, or
// that nothing is there any more, which says nothing about the object.
func (b *Bucket) absent() error {
	if err := b.present(); err != nil {
		return err
	}
	return fs.ErrNotExist
}

// present returns an error if the directory of the bucket was removed.
func (b *Bucket) present() error {
	fi, err := b.root.Stat(".")
	if err == nil && fi.Sys().(*syscall.Stat_t).Nlink == 0 {
		return errRemoved
	}
	return err
}

var errRemoved = errors.New("the directory of the bucket was removed: put it back and restart")

// checkParents looks at every directory above name. os.Root stays inside the
// bucket, but follows the symbolic links there, which listings do not show.
func (b *Bucket) checkParents(name string) error {
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		if err := b.checkDir(name[:i]); err != nil {
			return err
		}
	}
	return nil
}

// checkDir returns nil if name is a directory and no symbolic link. It takes
// what lies above name for granted.
func (b *Bucket) checkDir(name string) error {
	fi, err := b.root.Lstat(name)
	switch {
	case err != nil:
		return err
	case fi.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, which a bucket does not follow: put a directory in its place: %w", name, syscall.ELOOP)
	case !fi.IsDir():
		return fmt.Errorf("%s is a file, so nothing can be below it: %w", name, syscall.ENOTDIR)
	}
	return nil
}

// missing tells whether err says that a path leads nowhere.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// describe makes the version from the inode number, the modification time and
// the size. Create sets that time from the clock, in nanoseconds: the kernel's
// own is only as fine as its timer tick, within which an inode number can
// be given to a new file.
func describe(key string, fi fs.FileInfo) backends.Object {
	st := fi.Sys().(*syscall.Stat_t)
	mtime := fi.ModTime()
	return backends.Object{
		Key:      key,
		Size:     fi.Size(),
		Modified: mtime,
		Version:  fmt.Sprintf("%x-%x-%x", st.Ino, mtime.UnixNano(), fi.Size()),
	}
}
