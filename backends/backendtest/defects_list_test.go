package backendtest

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"orthanc-bucketfs/backends"
)

// relist replaces List with one that changes the pages of m.
func relist(change func(opts backends.ListOptions, page *backends.Page)) func(*broken, *Mem) {
	return func(b *broken, m *Mem) {
		b.list = func(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
			page, err := m.List(ctx, opts)
			change(opts, &page)
			return page, err
		}
	}
}

func listDefects() []defect {
	const (
		order   = "listings are in key order across pages"
		prefix  = "listings keep to the prefix"
		awkward = "awkward keys are kept as they are"
	)
	return []defect{
		{"list escapes keys", awkward, relist(func(_ backends.ListOptions, page *backends.Page) {
			for i := range page.Objects {
				page.Objects[i].Key = strings.ReplaceAll(url.PathEscape(page.Objects[i].Key), "%2F", "/")
			}
		})},
		{"keys are unescaped", awkward, func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				if raw, err := url.PathUnescape(key); err == nil {
					key = raw
				}
				return m.Create(ctx, key, body)
			}
		}},
		{"order is that of a walk", order, relist(func(_ backends.ListOptions, page *backends.Page) {
			slices.SortFunc(page.Objects, func(a, b backends.Object) int {
				return slices.Compare(strings.Split(a.Key, "/"), strings.Split(b.Key, "/"))
			})
		})},
		{"pages overlap", order, func(b *broken, m *Mem) {
			b.list = func(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
				if n := len(opts.Token); n > 0 {
					opts.Token = opts.Token[:n-1]
				}
				return m.List(ctx, opts)
			}
		}},
		{"last page is left out", order, relist(func(_ backends.ListOptions, page *backends.Page) {
			if page.Next == "" {
				page.Objects = nil
			}
		})},
		{"limit is ignored", order, func(b *broken, m *Mem) {
			b.list = func(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
				opts.Limit = 0
				return m.List(ctx, opts)
			}
		}},
		{"listing never ends", order, relist(func(_ backends.ListOptions, page *backends.Page) {
			page.Next = "0"
		})},
		{"prefix is a directory", prefix, func(b *broken, m *Mem) {
			b.list = func(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
				if opts.Prefix != "" && !strings.HasSuffix(opts.Prefix, "/") {
					opts.Prefix += "/"
				}
				return m.List(ctx, opts)
			}
		}},
		{"prefix is cleaned", prefix, func(b *broken, m *Mem) {
			b.list = func(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
				opts.Prefix = strings.ReplaceAll(opts.Prefix, "/./", "/")
				return m.List(ctx, opts)
			}
		}},
	}
}

func shallowDefects() []defect {
	const (
		shallow  = "shallow listings fold what is below"
		changing = "listings survive changes between pages"
	)
	return []defect{
		{"shallow is ignored", shallow, func(b *broken, m *Mem) {
			b.list = func(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
				opts.Shallow = false
				return m.List(ctx, opts)
			}
		}},
		{"prefixes are repeated", shallow, func(b *broken, m *Mem) {
			b.list = func(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
				repeat := opts.Shallow && strings.HasSuffix(opts.Token, "/")
				page, err := m.List(ctx, opts)
				if repeat {
					page.Prefixes = append([]string{opts.Token}, page.Prefixes...)
				}
				return page, err
			}
		}},
		{"empty directories are listed", shallow, relist(func(opts backends.ListOptions, page *backends.Page) {
			if opts.Shallow && page.Next == "" {
				page.Prefixes = append(page.Prefixes, opts.Prefix+"gone/")
			}
		})},
		{"token is a position", changing, func(b *broken, m *Mem) {
			b.list = func(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
				skip, _ := strconv.Atoi(opts.Token)
				limit := opts.Limit
				opts.Token, opts.Limit = "", skip+opts.Limit
				page, err := m.List(ctx, opts)
				page.Objects = page.Objects[min(skip, len(page.Objects)):]
				if page.Next != "" {
					page.Next = strconv.Itoa(skip + limit)
				}
				return page, err
			}
		}},
	}
}
