package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
)

// ErrNoBucket reports that the bucket itself is missing.
var ErrNoBucket = errors.New("bucket does not exist: create it, or correct its name")

// do runs one operation and says in its error what it was.
func (b *Bucket) do(ctx context.Context, op, key string, run func(context.Context, *call) error) error {
	if err := ctx.Err(); err != nil {
		return &backends.Error{Op: op, Key: key, Err: err}
	}
	ctx, over := b.pool.Call(ctx)
	defer over()
	ctx, c := follow(ctx, &b.budget)
	defer c.end()
	err := run(ctx, c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		return &backends.Error{Op: op, Key: key, RequestID: c.requestID, Err: err}
	}
	if c.succeeded {
		b.proven.Store(true)
	}
	return nil
}

// outcome translates an error of the SDK that says nothing about the object.
func (c *call) outcome(ctx context.Context, err error) error {
	a := c.last()
	if a != nil && a.refused() {
		return fmt.Errorf("%w: %w", fs.ErrPermission, a)
	}
	switch cut := c.cut(); {
	case a != nil:
		err = a
	case cut != nil && errors.Is(err, errSpent):
		err = foreign(cut)
	default:
		err = foreign(err)
	}
	switch ended := httpconn.Ended(ctx); {
	case errors.Is(ended, httpconn.ErrStalled):
		return fmt.Errorf("%w: %v", ended, err)
	case ended != nil && !errors.Is(err, ended):
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}

// absent says what a 404 means: fs.ErrNotExist only if the bucket is there.
func (b *Bucket) absent(ctx context.Context, c *call) error {
	a := c.last()
	if a.noBucket() {
		b.proven.Store(false)
		return fmt.Errorf("%w (%w)", ErrNoBucket, a)
	}
	if a.noObject() && b.proven.Load() {
		return fs.ErrNotExist
	}
	c.allow(0)
	if _, err := b.list(ctx, c, backends.ListOptions{Limit: 1}); err != nil {
		return err
	}
	b.proven.Store(true)
	return fs.ErrNotExist
}

// foreign returns err as one that is none of the sentinels, and without its
// URL. A credentials file that is missing, for one, would be fs.ErrNotExist,
// and so would be taken for a missing object. The URL of an upload session is
// a credential.
func foreign(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the connection ended without an answer: %w", io.ErrUnexpectedEOF)
	}
	sentinels := []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, backends.ErrChanged, backends.ErrInvalidKey}
	if slices.ContainsFunc(sentinels, func(s error) bool { return errors.Is(err, s) }) {
		return errors.New(err.Error())
	}
	return err
}

func missing(c *call) bool { return c.status() == http.StatusNotFound }
