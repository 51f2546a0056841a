package s3

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"orthanc-bucketfs/backends"
)

const pageSize = 1000 // entries, the most a store gives

// List asks for keys in the encoding of URLs: XML cannot hold all of them. It
// leaves out what no key of this module can name, as the "a/" that other
// programs make for a directory.
func (b *Bucket) List(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
	if err := ctx.Err(); err != nil {
		return backends.Page{}, &backends.Error{Op: "list", Key: opts.Prefix, Err: err}
	}
	if !beginsKeys(opts.Prefix) {
		return backends.Page{}, nil // stores refuse some of these
	}
	ctx, over := b.pool.Call(ctx)
	defer over()
	page, err := b.list(ctx, opts)
	if err != nil {
		return backends.Page{}, failure(ctx, "list", opts.Prefix, err)
	}
	return page, nil
}

// beginsKeys says whether any valid key can start with prefix.
func beginsKeys(prefix string) bool {
	end := strings.LastIndexByte(prefix, '/')
	return end < 0 || backends.CheckKey("list", prefix[:end]) == nil
}

func (b *Bucket) list(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
	in := &s3.ListObjectsV2Input{
		Bucket:            &b.cfg.Bucket,
		Prefix:            optional(opts.Prefix),
		ContinuationToken: optional(opts.Token),
		EncodingType:      types.EncodingTypeUrl,
	}
	if opts.Shallow {
		in.Delimiter = aws.String("/")
	}
	if opts.Limit > 0 {
		in.MaxKeys = aws.Int32(int32(min(opts.Limit, pageSize)))
	}
	out, err := b.client.ListObjectsV2(ctx, in)
	if err != nil {
		return backends.Page{}, err
	}
	return newPage(out)
}

func newPage(out *s3.ListObjectsV2Output) (backends.Page, error) {
	var page backends.Page
	if out.IsTruncated == nil {
		return page, errors.New("the answer is no listing: look at the endpoint, and for a proxy before it")
	}
	decode := decoder(out.EncodingType)
	last := ""
	for _, entry := range out.Contents {
		key, err := decode(aws.ToString(entry.Key))
		if err != nil {
			return backends.Page{}, fmt.Errorf("the listing has a key in an unknown encoding: %w", err)
		}
		if key <= last {
			return backends.Page{}, errors.New("the listing is not in the order of keys: use a store, or a kind of bucket, that keeps it")
		}
		last = key
		if backends.CheckKey("list", key) != nil {
			continue
		}
		if entry.Size == nil {
			return backends.Page{}, errors.New("the listing does not tell the size of an object")
		}
		obj, err := describe(key, entry.ETag, *entry.Size, entry.LastModified)
		if err != nil {
			return backends.Page{}, err
		}
		page.Objects = append(page.Objects, obj)
	}
	for _, entry := range out.CommonPrefixes {
		prefix, err := decode(aws.ToString(entry.Prefix))
		if err != nil {
			return backends.Page{}, fmt.Errorf("the listing has a prefix in an unknown encoding: %w", err)
		}
		page.Prefixes = append(page.Prefixes, prefix)
	}
	if !*out.IsTruncated {
		return page, nil
	}
	page.Next = aws.ToString(out.NextContinuationToken)
	if page.Next == "" {
		return backends.Page{}, errors.New("the listing goes on, but the store does not tell how")
	}
	return page, nil
}

// decoder heeds what the store says it has done, not what it was asked for:
// some ignore the request.
func decoder(encoding types.EncodingType) func(string) (string, error) {
	if encoding == types.EncodingTypeUrl {
		return url.QueryUnescape
	}
	return func(s string) (string, error) { return s, nil }
}
