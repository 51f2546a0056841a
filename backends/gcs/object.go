package gcs

import (
	"context"
	"errors"
	"io/fs"
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
		return describe(attrs), nil
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
	return b.do(ctx, "delete", key, func(ctx context.Context, c *call) error {
		err := b.handle(key).Delete(ctx)
		switch {
		case err == nil:
			return nil
		case missing(c):
			if err := b.absent(ctx, c); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		default:
			return c.outcome(ctx, err)
		}
	})
}

func (b *Bucket) handle(key string) *storage.ObjectHandle {
	return b.sdk.Bucket(b.cfg.Bucket).Object(key)
}

func describe(attrs *storage.ObjectAttrs) backends.Object {
	return backends.Object{
		Key:      attrs.Name,
		Size:     attrs.Size,
		Modified: attrs.Created,
		Version:  version(attrs.Generation),
	}
}

func version(generation int64) string { return strconv.FormatInt(generation, 10) }
