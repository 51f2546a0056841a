package attachment

import (
	"context"
	"sync"

	"orthanc-bucketfs/backends"
)

const (
	rangeSize    = 8 << 20 // bytes a request when an object is fetched in parts
	rangeWorkers = 4       // requests at a time for one object
)

// readRanges fills p from the start of an object: in one request if it is
// small, else in parallel ranges, all of the version that the first one found.
func readRanges(ctx context.Context, b backends.Bucket, key, version string, p []byte) (int, backends.Object, error) {
	first := p
	if len(p) > 2*rangeSize {
		first = p[:rangeSize]
	}
	n, obj, err := b.Read(ctx, key, version, first, 0)
	if err != nil || n < len(first) || len(first) == len(p) {
		return n, obj, err
	}
	rest, err := readRest(ctx, b, key, obj.Version, p, n)
	return n + rest, obj, err
}

// readRest fills p from offset from on, and returns how many bytes it read.
func readRest(ctx context.Context, b backends.Bucket, key, version string, p []byte, from int) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	offsets := make(chan int)
	counts := make([]int, rangeWorkers)
	var workers sync.WaitGroup
	for i := range counts {
		workers.Go(func() {
			for off := range offsets {
				err := guarded(func() error {
					part := p[off:min(off+rangeSize, len(p))]
					n, _, err := b.Read(ctx, key, version, part, int64(off))
					counts[i] += n
					return err
				})
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for off := from; off < len(p) && ctx.Err() == nil; off += rangeSize {
		offsets <- off
	}
	close(offsets)
	workers.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, context.Cause(ctx)
}
