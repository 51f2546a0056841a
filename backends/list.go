package backends

import (
	"context"
	"iter"
)

// All iterates over every object whose key starts with prefix, in key order,
// one List call a page. It stops after the first error.
func All(ctx context.Context, b Bucket, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		opts := ListOptions{Prefix: prefix}
		for {
			page, err := b.List(ctx, opts)
			if err != nil {
				yield(Object{}, err)
				return
			}
			for _, obj := range page.Objects {
				if !yield(obj, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			opts.Token = page.Next
		}
	}
}
