package backendtest

import (
	"context"
	"maps"
	"slices"
	"strings"

	"orthanc-bucketfs/backends"
)

const memPageSize = 1000

// List uses the last entry of a page as the token of the next.
func (m *Mem) List(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
	if err := ctx.Err(); err != nil {
		return backends.Page{}, &backends.Error{Op: "list", Key: opts.Prefix, Err: err}
	}
	limit := opts.Limit
	if limit <= 0 {
		limit = memPageSize
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var page backends.Page
	var last string
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		if !strings.HasPrefix(key, opts.Prefix) {
			continue
		}
		entry, folded := fold(key, opts)
		if entry <= opts.Token || entry == last {
			continue
		}
		if len(page.Objects)+len(page.Prefixes) == limit {
			page.Next = last
			break
		}
		if folded {
			page.Prefixes = append(page.Prefixes, entry)
		} else {
			page.Objects = append(page.Objects, m.objects[key].Object)
		}
		last = entry
	}
	return page, nil
}

// fold returns the entry that stands for key in a listing, and whether it is a
// common prefix.
func fold(key string, opts backends.ListOptions) (entry string, folded bool) {
	if !opts.Shallow {
		return key, false
	}
	n := len(opts.Prefix)
	i := strings.IndexByte(key[n:], '/')
	if i < 0 {
		return key, false
	}
	return key[:n+i+1], true
}
