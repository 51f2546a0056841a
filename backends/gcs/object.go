package gcs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"

	"cloud.google.com/go/storage"

	"orthanc-bucketfs/backends"
)

func (b *Bucket) Stat(ctx context.Context, key string) (obj backends.Object, err error) {
	if err := backends.CheckKey("stat", key); err != nil {
		return backends.Object{}, err
	}
	err = b.do(ctx, "stat", key, func(ctx context.Context, c *call) error {
		obj, err = b.stat(ctx, c, key)
		return err
	})
	return obj, err
}

func (b *Bucket) stat(ctx context.Context, c *call, key string) (backends.Object, error) {
	attrs, err := b.handle(key).Attrs(ctx)
	switch {
	case err == nil:
		return describe(attrs)
	case missing(c):
		return backends.Object{}, b.absent(ctx, c)
	default:
		return backends.Object{}, c.outcome(ctx, err)
	}
}

// pinned describes the object if it is of the given version, or of any if that
// is empty.
func (b *Bucket) pinned(ctx context.Context, c *call, key, version string) (backends.Object, error) {
	c.allow(0)
	obj, err := b.stat(ctx, c, key)
	if err == nil && version != "" && obj.Version != version {
		return backends.Object{}, backends.ErrChanged
	}
	return obj, err
}

func (b *Bucket) Delete(ctx context.Context, key, version string) error {
	if err := backends.CheckKey("delete", key); err != nil {
		return err
	}
	version, err := b.deletes.Condition(ctx, b, key, version)
	if err != nil {
		return err
	}
	handle, ok := b.pinnedHandle(key, version)
	if !ok {
		return notVersion("delete", key, version)
	}
	return b.do(ctx, "delete", key, func(ctx context.Context, c *call) error {
		return b.remove(ctx, c, handle)
	})
}

// Conditions returns what Inspect has found out.
func (b *Bucket) Conditions() backends.Conditions {
	return backends.Conditions{Create: true, Delete: b.deletes.Honoured()}
}

// remove sends one request. Neither the SDK nor anybody below it may send it
// again: the one before, if it was not answered, may still arrive.
func (b *Bucket) remove(ctx context.Context, c *call, handle *storage.ObjectHandle) error {
	c.allow(1)
	err := handle.Retryer(storage.WithPolicy(storage.RetryNever)).Delete(ctx)
	switch {
	case err == nil:
		return nil
	case c.status() == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", backends.ErrChanged, c.last())
	case missing(c):
		if err := b.absent(ctx, c); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	default:
		return c.outcome(ctx, err)
	}
}

// pinnedHandle returns the handle of the object on condition of its version, if
// that is not empty. It reports false for a version that no object can have.
func (b *Bucket) pinnedHandle(key, version string) (*storage.ObjectHandle, bool) {
	handle := b.handle(key)
	if version == "" {
		return handle, true
	}
	generation, err := strconv.ParseInt(version, 10, 64)
	if err != nil || generation <= 0 {
		return nil, false
	}
	return handle.If(storage.Conditions{GenerationMatch: generation}), true
}

// notVersion is the error about a version that no object can have.
func notVersion(op, key, version string) error {
	return &backends.Error{Op: op, Key: key, Err: fmt.Errorf("%w: %q is no version", backends.ErrChanged, version)}
}

func (b *Bucket) handle(key string) *storage.ObjectHandle {
	return b.sdk.Bucket(b.cfg.Bucket).Object(key)
}

func describe(attrs *storage.ObjectAttrs) (backends.Object, error) {
	if attrs.Size < 0 {
		return backends.Object{}, errors.New("the service gives the object a negative size")
	}
	return backends.Object{
		Key:      attrs.Name,
		Size:     attrs.Size,
		Modified: attrs.Created,
		Version:  version(attrs.Generation),
	}, nil
}

func version(generation int64) string { return strconv.FormatInt(generation, 10) }
