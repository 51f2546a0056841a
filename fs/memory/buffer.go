// Package memory holds the contents of files outside the Go heap.
//
// # Contract
//
// A Buffer is one contiguous piece of anonymous memory, so that a file can be
// sealed and unsealed where it lies, with headroom before and tailroom after
// the content. It grows by remapping pages, without a copy, and its pages go
// back to the system when it is freed. Every byte of content is covered by a
// budget.Claim before it is touched. The pages are left out of core dumps.
package memory

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/fs/budget"
)

const (
	firstStep = 64 << 10 // bytes of content a growing buffer starts with
	lastStep  = 8 << 20  // steps double up to this many bytes
)

// Buffer holds one file. It is not safe for concurrent use, and a slice it has
// handed out must not be used after Resize, Trim or Free.
type Buffer struct {
	claim      *budget.Claim
	limit      int64  // largest content, bytes
	head, tail int    // bytes before and after the content
	mem        []byte // the mapping; nil before the first Resize
	size       int    // content, bytes
}

// New returns an empty buffer that may grow to the whole of b, with head bytes
// of headroom and tail bytes of tailroom. It takes no memory yet.
func New(b *budget.Budget, head, tail int) *Buffer {
	return &Buffer{claim: b.Claim(), limit: b.Limit(), head: head, tail: tail}
}

// Size returns the size of the content in bytes.
func (b *Buffer) Size() int { return b.size }

// Content returns the content.
func (b *Buffer) Content() []byte {
	if b.mem == nil {
		return nil
	}
	return b.mem[b.head : b.head+b.size : b.head+b.size]
}

// Framed returns the content with its headroom and tailroom. The buffer must
// have been resized before.
func (b *Buffer) Framed() []byte {
	n := b.head + b.size + b.tail
	return b.mem[:n:n]
}

// Allocate gives an empty buffer exactly size bytes of content, all zero.
// It waits for the budget as budget.Claim.Grow does.
func (b *Buffer) Allocate(ctx context.Context, size int64) error {
	if err := b.reserve(ctx, size); err != nil {
		return err
	}
	b.size = int(size)
	return nil
}

// TryAllocate gives an empty buffer size bytes of content, all zero, if that can
// be done without waiting and leaves half of the budget free. It reports false
// if it did nothing.
func (b *Buffer) TryAllocate(size int64) bool {
	if !b.try(size) {
		return false
	}
	b.size = int(size)
	return true
}

func (b *Buffer) try(size int64) bool {
	if size > b.limit || !b.claim.TryGrow(b.cost(size), b.limit/2) {
		return false
	}
	if err := b.remap(size); err != nil {
		b.Free()
		return false
	}
	return true
}

// Fit gives the buffer exactly size bytes of content, and keeps what is in its
// frame: bytes that were read into a larger or smaller frame stay where they
// are. What it adds is for the caller to fill. It waits for the budget only if
// it grows.
func (b *Buffer) Fit(ctx context.Context, size int64) error {
	if b.mem == nil || b.pages(size) > len(b.mem) {
		if err := b.reserve(ctx, size); err != nil {
			return err
		}
	}
	b.size = int(size)
	return b.Trim()
}

// Lend offers the memory to whoever needs it, as budget.Claim.Lend does; giveUp
// has to free the buffer.
func (b *Buffer) Lend(giveUp func()) bool { return b.claim.Lend(giveUp) }

// TakeBack ends the offer, as budget.Claim.TakeBack does.
func (b *Buffer) TakeBack() bool { return b.claim.TakeBack() }

// Expedite gives an empty buffer room for size bytes, if that can be done
// without waiting and leaves half of the budget free, and makes its claim
// urgent. It reports false if it did nothing.
func (b *Buffer) Expedite(size int64) bool {
	if !b.try(size) {
		return false
	}
	b.claim.Hurry()
	return true
}

// Resize sets the size of the content, in steps that make a run of small
// appends cheap. What is added is zero. It waits for the budget as
// budget.Claim.Grow does; after an error the buffer is unchanged.
func (b *Buffer) Resize(ctx context.Context, size int64) error {
	// The last page may hold more than the limit allows.
	if err := b.admissible(size); err != nil {
		return err
	}
	if b.mem == nil || size > b.capacity() {
		if err := b.reserve(ctx, b.nextCapacity(size)); err != nil {
			return err
		}
	}
	if n := int(size); n < b.size {
		clear(b.mem[b.head+n : b.head+b.size])
	}
	b.size = int(size)
	return nil
}

// Trim gives back what the content does not need.
func (b *Buffer) Trim() error {
	if b.mem == nil {
		return nil
	}
	if err := b.remap(int64(b.size)); err != nil {
		return err
	}
	b.claim.Shrink(b.cost(int64(b.size)))
	return nil
}

// Free gives back everything. The buffer is empty afterwards.
func (b *Buffer) Free() {
	if b.mem != nil {
		if err := unix.Munmap(b.mem); err != nil {
			panic(fmt.Sprintf("unmapping %d bytes: %v", len(b.mem), err))
		}
	}
	b.mem, b.size = nil, 0
	b.claim.Release()
}

func (b *Buffer) capacity() int64 { return int64(len(b.mem) - b.head - b.tail) }

// nextCapacity returns the next step that holds size bytes, but never more
// than a file may have.
func (b *Buffer) nextCapacity(size int64) int64 {
	step := max(firstStep, min(b.capacity(), lastStep))
	return min(max(size, b.capacity()+step), b.limit)
}

func (b *Buffer) admissible(size int64) error {
	if size > b.limit {
		return fmt.Errorf("%w: %d bytes, limit %d", budget.ErrTooLarge, size, b.limit)
	}
	return nil
}

func (b *Buffer) reserve(ctx context.Context, capacity int64) error {
	if err := b.admissible(capacity); err != nil {
		return err
	}
	if err := b.claim.Grow(ctx, b.cost(capacity)); err != nil {
		return err
	}
	return b.remap(capacity)
}

// cost counts whole pages and the frame. A file at the limit may cost the
// whole limit only, else it could never be admitted.
func (b *Buffer) cost(capacity int64) int64 {
	return min(int64(b.pages(capacity)), b.limit)
}

func (b *Buffer) pages(capacity int64) int {
	page := os.Getpagesize()
	n := b.head + int(capacity) + b.tail
	return max((n+page-1)/page, 1) * page
}

func (b *Buffer) remap(capacity int64) error {
	n := b.pages(capacity)
	if n == len(b.mem) {
		return nil
	}
	mem, err := b.mapped(n)
	if err != nil {
		return fmt.Errorf("mapping %d bytes: %w", n, err)
	}
	b.mem = mem
	return nil
}

func (b *Buffer) mapped(n int) ([]byte, error) {
	if b.mem != nil {
		return unix.Mremap(b.mem, n, unix.MREMAP_MAYMOVE)
	}
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	if err := unix.Madvise(mem, unix.MADV_DONTDUMP); err != nil {
		return nil, errors.Join(fmt.Errorf("excluding from core dumps: %w", err), unix.Munmap(mem))
	}
	return mem, nil
}
