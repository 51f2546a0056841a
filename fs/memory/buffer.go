package memory

import (
	"context"
	"fmt"

	"orthanc-bucketfs/fs/budget"
)

const (
	firstStep = 64 << 10 // bytes of content a growing buffer starts with
	lastStep  = 8 << 20  // steps double up to this many bytes
)

// Buffer holds one file. It is not safe for concurrent use, and a slice it has
// handed out must not be used after Resize, Trim or Free.
type Buffer struct {
	pool       *Pool
	claim      *budget.Claim
	limit      int64  // largest content, bytes
	head, tail int    // bytes before and after the content
	mem        []byte // the mapping; nil before the first Resize
	dirty      int    // bytes of mem that may not be zero
	size       int    // content, bytes
}

// New returns an empty buffer that may grow to the whole of the pool's budget,
// with head bytes of headroom and tail bytes of tailroom. It takes no memory yet.
func (p *Pool) New(class budget.Class, head, tail int) *Buffer {
	return &Buffer{pool: p, claim: p.budget.Claim(class), limit: p.budget.Limit(), head: head, tail: tail}
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

// Allocate gives an empty buffer exactly size bytes of content, for the caller
// to fill. It waits for the budget as budget.Claim.Grow does.
func (b *Buffer) Allocate(ctx context.Context, size int64) error {
	if err := b.reserve(ctx, size); err != nil {
		return err
	}
	b.extend(size)
	return nil
}

// TryAllocate gives an empty buffer size bytes of content, for the caller to
// fill, if that can be done without waiting and leaves half of the budget free.
// It reports false if it did nothing.
func (b *Buffer) TryAllocate(size int64) bool {
	if !b.try(size) {
		return false
	}
	b.extend(size)
	return true
}

func (b *Buffer) try(size int64) bool {
	ceiling := b.limit / 2
	if size > b.limit || !b.adopt(size, ceiling) && !b.claim.TryGrow(b.cost(size), ceiling) {
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
	if b.mem == nil || pages(b.frame(size)) > len(b.mem) {
		if err := b.reserve(ctx, size); err != nil {
			return err
		}
	}
	b.extend(size)
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
	if from, to := b.head+b.size, min(b.head+int(size), b.dirty); from < to {
		clear(b.mem[from:to])
	}
	b.extend(size)
	return nil
}

// extend makes size bytes the content.
func (b *Buffer) extend(size int64) {
	b.size = int(size)
	b.dirty = max(b.dirty, b.frame(size))
}

// Trim gives back what the content does not need.
func (b *Buffer) Trim() error {
	if b.mem == nil {
		return nil
	}
	return b.remap(int64(b.size))
}

// Free gives back everything. The buffer is empty afterwards.
func (b *Buffer) Free() {
	if b.mem == nil || !b.pool.put(b.mem, b.dirty, b.claim) {
		unmap(b.mem)
		b.claim.Release()
	}
	b.mem, b.dirty, b.size = nil, 0, 0
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
	if b.mem != nil || !b.adopt(capacity, b.limit) {
		if err := b.claim.Grow(ctx, b.cost(capacity)); err != nil {
			return err
		}
	}
	return b.remap(capacity)
}

// adopt takes over idle memory of the pool, and reports false if there is none
// or the budget has no more for the rest at once, with the sum within ceiling.
func (b *Buffer) adopt(capacity, ceiling int64) bool {
	cost := b.cost(capacity)
	m := b.pool.take()
	if m == nil {
		b.pool.budget.Recycle(cost, ceiling)
		m = b.pool.take()
	}
	if m == nil {
		return false
	}
	if !b.claim.Inherit(m.claim, cost, ceiling) {
		m.discard()
		return false
	}
	b.mem, b.dirty = m.mem, m.dirty
	return true
}

func (b *Buffer) frame(content int64) int { return b.head + int(content) + b.tail }

// cost counts whole pages and the frame. A file at the limit may cost the
// whole limit only, else it could never be admitted.
func (b *Buffer) cost(capacity int64) int64 {
	return min(int64(pages(b.frame(capacity))), b.limit)
}

// remap makes the mapping that of capacity bytes of content, and gives back what
// the claim holds beyond.
func (b *Buffer) remap(capacity int64) error {
	mem, err := remapped(b.mem, pages(b.frame(capacity)))
	if err != nil {
		return err
	}
	b.mem, b.dirty = mem, min(b.dirty, len(mem))
	b.claim.Shrink(b.cost(capacity))
	return nil
}
