package azure

import (
	"context"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"orthanc-bucketfs/backends"
)

const pageMax = 5000 // entries that the service gives in one page

// List's token is the service's marker.
func (b *Bucket) List(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
	ctx, over := b.pool.Call(ctx)
	defer over()
	page, err := b.list(ctx, opts)
	if err != nil {
		return backends.Page{}, failure("list", opts.Prefix, err)
	}
	return page, nil
}

func (b *Bucket) list(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
	if err := ctx.Err(); err != nil {
		return backends.Page{}, err
	}
	seg, err := b.segment(ctx, opts)
	if err != nil {
		return backends.Page{}, b.translate(ctx, "list", err)
	}
	if seg.container == nil {
		return backends.Page{}, errNoListing
	}
	page := backends.Page{Prefixes: folded(seg.prefixes), Next: deref(seg.next)}
	if page.Objects, err = objects(seg.items); err != nil {
		return backends.Page{}, err
	}
	byKey := func(a, b backends.Object) int { return strings.Compare(a.Key, b.Key) }
	if !slices.IsSortedFunc(page.Objects, byKey) || !slices.IsSorted(page.Prefixes) {
		return backends.Page{}, errOrder
	}
	return page, nil
}

// segment is what the service gives in one answer.
type segment struct {
	container *string // which every listing names
	items     []*container.BlobItem
	prefixes  []*container.BlobPrefix
	next      *string
}

func (b *Bucket) segment(ctx context.Context, opts backends.ListOptions) (segment, error) {
	limit := int32(pageMax)
	if opts.Limit > 0 {
		limit = int32(min(opts.Limit, pageMax))
	}
	if opts.Shallow {
		return b.hierarchy(ctx, opts, limit)
	}
	resp, err := b.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Prefix: given(opts.Prefix), Marker: given(opts.Token), MaxResults: &limit,
	}).NextPage(ctx)
	seg := segment{container: resp.ContainerName, next: resp.NextMarker}
	if resp.Segment != nil {
		seg.items = resp.Segment.BlobItems
	}
	return seg, err
}

func (b *Bucket) hierarchy(ctx context.Context, opts backends.ListOptions, limit int32) (segment, error) {
	resp, err := b.client.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{
		Prefix: given(opts.Prefix), Marker: given(opts.Token), MaxResults: &limit,
	}).NextPage(ctx)
	seg := segment{container: resp.ContainerName, next: resp.NextMarker}
	if resp.Segment != nil {
		seg.items, seg.prefixes = resp.Segment.BlobItems, resp.Segment.BlobPrefixes
	}
	return seg, err
}

// objects leaves out blobs whose names are no keys, and the entries that stand
// for directories in a hierarchical namespace.
func objects(items []*container.BlobItem) ([]backends.Object, error) {
	var objs []backends.Object
	for _, item := range items {
		if item.Name == nil || item.Properties == nil || item.Properties.ContentLength == nil {
			return nil, errIncomplete
		}
		if !isKey(*item.Name) || deref(item.Properties.ResourceType) == "directory" {
			continue
		}
		obj, err := describe(*item.Name, *item.Properties.ContentLength, item.Properties.ETag, item.Properties.LastModified)
		if err != nil {
			return nil, err
		}
		objs = append(objs, obj)
	}
	return objs, nil
}

// folded leaves out prefixes that no key has.
func folded(prefixes []*container.BlobPrefix) []string {
	var names []string
	for _, p := range prefixes {
		if name := deref(p.Name); isKey(name + "x") {
			names = append(names, name)
		}
	}
	return names
}

func isKey(name string) bool { return backends.CheckKey("list", name) == nil && holds(name) }

// given returns nil for the empty string, for which the SDK has no default.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
