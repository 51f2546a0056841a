package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"orthanc-bucketfs/backends"
)

const (
	tmpDir    = ".orthanc-bucketfs-tmp"
	lostFound = "lost+found"
	nameMax   = 255 // bytes in one path element, NAME_MAX
)

// Bucket is a directory that holds objects. It implements backends.Bucket.
type Bucket struct {
	name string // of the directory
	root *os.Root
	give *syscall.Stat_t      // whose everything that is made is to be; nil for this process's
	sync func(*os.File) error // (*os.File).Sync, but for tests
}

// Open returns the bucket in the directory at path, and removes the temporary
// files that killed processes have left there. Where it may not remove them
// they stay: they do no harm.
func Open(path string) (*Bucket, error) { return OpenAs(path, path) }

// OpenAs is Open for a directory that is at path for this process alone, and has
// another name for people.
func OpenAs(name, path string) (*Bucket, error) {
	b, err := openAt(path)
	if err != nil {
		return nil, fmt.Errorf("bucket directory %s %w", name, err)
	}
	b.name = name
	return b, nil
}

func openAt(path string) (*Bucket, error) {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("does not exist: create it, or correct the path: %w", err)
	case err != nil:
		return nil, fmt.Errorf("cannot be used: %w", err)
	case !fi.IsDir():
		return nil, fmt.Errorf("is not a directory: correct the path: %w", syscall.ENOTDIR)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be opened: %w", err)
	}
	b := &Bucket{root: root, sync: (*os.File).Sync}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 && st.Uid != 0 {
		b.give = st // a daemon without root's rights must be able to read it
	}
	if err := b.sweep(); err != nil {
		root.Close()
		return nil, fmt.Errorf("has temporary files in %s: %w", tmpDir, err)
	}
	return b, nil
}

// Close gives back the bucket's descriptor. No call may follow it.
func (b *Bucket) Close() error { return b.root.Close() }

func (b *Bucket) String() string { return "dir " + b.name }

func (b *Bucket) Stat(ctx context.Context, key string) (backends.Object, error) {
	if err := admit(ctx, "stat", key); err != nil {
		return backends.Object{}, err
	}
	fi, err := b.lstat(key)
	if err != nil {
		return backends.Object{}, &backends.Error{Op: "stat", Key: key, Err: err}
	}
	return describe(key, fi), nil
}

func (b *Bucket) Delete(ctx context.Context, key, version string) error {
	if err := admit(ctx, "delete", key); err != nil {
		return err
	}
	if err := b.remove(ctx, key, version); err != nil {
		return &backends.Error{Op: "delete", Key: key, Err: err}
	}
	return nil
}

// remove syncs the directory even when there is nothing to remove: an earlier
// Delete may have been killed before it did.
func (b *Bucket) remove(ctx context.Context, key, version string) error {
	if err := b.unlink(ctx, key, version); err != nil && !missing(err) {
		return err
	}
	if err := b.syncDir(path.Dir(key)); err != nil && !missing(err) {
		return err
	}
	return nil
}

// unlink removes the name under the object's lock, so that no Replace can come
// between the look at the version and the removal.
func (b *Bucket) unlink(ctx context.Context, key, version string) error {
	held, err := b.lockObject(ctx, key)
	if err == nil {
		defer held.Close()
	} else if !errors.Is(err, fs.ErrPermission) { // then nobody like us can replace it either
		return err
	}
	if version != "" {
		if err := b.checkVersion(key, version); err != nil {
			return err
		}
	}
	return b.root.Remove(key)
}

// mkdir makes one directory.
func (b *Bucket) mkdir(name string) error {
	if err := b.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	if b.give == nil {
		return nil
	}
	d, err := b.root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	return b.given(d)
}

// given gives what this process has made to the owner of the bucket's directory.
// Not by name: the owner could put a link to another file there.
func (b *Bucket) given(f *os.File) error {
	if b.give == nil {
		return nil
	}
	return f.Chown(int(b.give.Uid), int(b.give.Gid))
}

// syncDir makes the names in a directory durable.
func (b *Bucket) syncDir(name string) error {
	d, err := b.root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	return b.sync(d)
}

// admit refuses a key that the bucket cannot hold and a call whose context has
// ended.
func admit(ctx context.Context, op, key string) error {
	if err := backends.CheckKey(op, key); err != nil {
		return err
	}
	if !holds(key) {
		return &backends.Error{Op: op, Key: key, Err: backends.ErrInvalidKey}
	}
	if err := ctx.Err(); err != nil {
		return &backends.Error{Op: op, Key: key, Err: err}
	}
	return nil
}

// holds tells whether the bucket can hold a key that is valid elsewhere.
func holds(key string) bool {
	first, _, _ := strings.Cut(key, "/")
	if first == tmpDir || first == lostFound || strings.IndexByte(key, 0) >= 0 {
		return false
	}
	for elem := range strings.SplitSeq(key, "/") {
		if len(elem) > nameMax {
			return false
		}
	}
	return true
}
