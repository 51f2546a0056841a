package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"orthanc-bucketfs/backends"
)

const (
	writePiece  = 16 << 20 // bytes written and synced between two looks at the context
	linkRetries = 10       // directories may be removed between their making and the link
)

func (b *Bucket) Create(ctx context.Context, key string, body []byte) (backends.Object, error) {
	if err := admit(ctx, "create", key); err != nil {
		return backends.Object{}, err
	}
	obj, err := b.create(ctx, key, body)
	if err != nil {
		return backends.Object{}, &backends.Error{Op: "create", Key: key, Err: err}
	}
	return obj, nil
}

func (b *Bucket) create(ctx context.Context, key string, body []byte) (backends.Object, error) {
	t, fi, err := b.stage(ctx, body)
	if err != nil {
		return backends.Object{}, opaque(err)
	}
	defer t.discard()
	if err := b.publish(ctx, t.name, key); err != nil {
		return backends.Object{}, err
	}
	if err := b.syncDir(path.Dir(key)); err != nil {
		return backends.Object{}, b.takeBack(key, fi, err)
	}
	return describe(key, fi), nil
}

// stage returns a temporary file that holds body, durably, and describes it.
func (b *Bucket) stage(ctx context.Context, body []byte) (*temp, fs.FileInfo, error) {
	t, err := b.newTemp()
	if err != nil {
		return nil, nil, err
	}
	err = b.fill(ctx, t, body)
	var fi fs.FileInfo
	if err == nil {
		fi, err = t.file.Stat()
	}
	if err != nil {
		t.discard()
		return nil, nil, err
	}
	return t, fi, nil
}

// fill writes body and makes it durable, piece by piece so that no sync takes
// long.
func (b *Bucket) fill(ctx context.Context, t *temp, body []byte) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece := body[:min(len(body), writePiece)]
		if _, err := t.file.Write(piece); err != nil {
			return err
		}
		body = body[len(piece):]
		if len(body) == 0 {
			break
		}
		if err := b.sync(t.file); err != nil {
			return err
		}
	}
	if err := t.stamp(); err != nil {
		return err
	}
	return b.sync(t.file)
}

// publish gives the temporary file its final name. It is the last moment at
// which the context counts.
func (b *Bucket) publish(ctx context.Context, tmp, key string) error {
	var err error
	for range linkRetries {
		if err := b.makeDir(path.Dir(key)); err != nil {
			return opaque(err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err = b.root.Link(tmp, key)
		if errors.Is(err, fs.ErrExist) {
			return b.taken(key)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return opaque(err)
}

// makeDir makes the directory name and those missing above it. It syncs the
// parent even of a directory that is there: whoever made it may not have done
// so yet.
func (b *Bucket) makeDir(name string) error {
	if name == "." {
		return nil
	}
	parent := path.Dir(name)
	if err := b.makeDir(parent); err != nil {
		return err
	}
	err := b.checkDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = b.mkdir(name)
		if errors.Is(err, fs.ErrExist) {
			err = b.checkDir(name)
		}
	}
	if err != nil {
		return err
	}
	return b.syncDir(parent)
}

// taken returns the error for a name that exists. Only another object makes
// it fs.ErrExist.
func (b *Bucket) taken(key string) error {
	fi, err := b.root.Lstat(key)
	if err == nil && !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is a directory or special file, so no object can have its name: %w", key, syscall.EISDIR)
	}
	return fs.ErrExist
}

// takeBack removes the object that cause keeps from being durable, unless
// somebody else's has replaced it.
func (b *Bucket) takeBack(key string, own fs.FileInfo, cause error) error {
	fi, err := b.root.Lstat(key)
	if err == nil && os.SameFile(fi, own) {
		err = b.root.Remove(key)
	}
	if err != nil && !missing(err) {
		return fmt.Errorf("object may not be durable: %v; it could not be taken back: %v", cause, err)
	}
	return fmt.Errorf("object could not be made durable and was taken back: %w", opaque(cause))
}

// opaque keeps err from being taken for news about the object: a file that
// exists or is missing on the way to it says nothing about it.
func opaque(err error) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return errors.New(err.Error())
	}
	return err
}
