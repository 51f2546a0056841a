package gcs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"orthanc-bucketfs/backends"
)

// List leaves out objects whose names are no keys, such as the "folders" that
// some programs make.
func (b *Bucket) List(ctx context.Context, opts backends.ListOptions) (page backends.Page, err error) {
	err = b.do(ctx, "list", opts.Prefix, func(ctx context.Context, c *call) error {
		page, err = b.list(ctx, c, opts)
		return err
	})
	return page, err
}

func (b *Bucket) list(ctx context.Context, c *call, opts backends.ListOptions) (backends.Page, error) {
	query := &storage.Query{Prefix: opts.Prefix, Projection: storage.ProjectionNoACL}
	if opts.Shallow {
		query.Delimiter = "/"
	}
	if err := query.SetAttrSelection([]string{"Created", "Generation", "Name", "Size"}); err != nil {
		return backends.Page{}, err
	}
	it := b.sdk.Bucket(b.cfg.Bucket).Objects(ctx, query)
	it.PageInfo().Token = opts.Token
	it.PageInfo().MaxSize = opts.Limit
	var page backends.Page
	// The first Next gets a page, or several until there is an entry.
	for first := true; first || it.PageInfo().Remaining() > 0; first = false {
		attrs, err := it.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return backends.Page{}, unlisted(ctx, c, err)
		}
		if err := add(&page, attrs); err != nil {
			return backends.Page{}, err
		}
	}
	page.Next = it.PageInfo().Token
	return page, nil
}

func add(page *backends.Page, attrs *storage.ObjectAttrs) error {
	key := strings.TrimSuffix(attrs.Prefix, "/")
	if attrs.Prefix == "" {
		key = attrs.Name
	}
	switch {
	case backends.CheckKey("list", key) != nil:
	case attrs.Prefix != "":
		page.Prefixes = append(page.Prefixes, attrs.Prefix)
	default:
		obj, err := describe(attrs)
		if err != nil {
			return err
		}
		page.Objects = append(page.Objects, obj)
	}
	return nil
}

// unlisted translates the error of a listing, for which 404 can mean only one
// thing.
func unlisted(ctx context.Context, c *call, err error) error {
	if missing(c) {
		return fmt.Errorf("%w (%w)", ErrNoBucket, c.last())
	}
	return c.outcome(ctx, err)
}
