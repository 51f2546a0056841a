package memory

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	hugePage = 2 << 20 // bytes, on amd64 and, with pages of 4 KiB, on arm64

	// largeFrame is how many bytes a frame must have to lie in huge pages, the
	// last of which costs as much as all others: up to a quarter of the whole.
	largeFrame = 8 << 20
)

// pages returns how many bytes of memory a frame of n bytes takes.
func pages(n int) int {
	page := os.Getpagesize()
	if n >= largeFrame {
		page = hugePage
	}
	return max((n+page-1)/page, 1) * page
}

// remapped makes mem a mapping of n bytes, which may be elsewhere. The bytes that
// it adds are zero.
func remapped(mem []byte, n int) ([]byte, error) {
	if n == len(mem) {
		return mem, nil
	}
	wasLarge := len(mem) >= largeFrame
	var err error
	if mem == nil {
		mem, err = unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err == nil {
			err = notDumped(mem)
		}
	} else {
		mem, err = unix.Mremap(mem, n, unix.MREMAP_MAYMOVE)
	}
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", n, err)
	}
	if n >= largeFrame && !wasLarge {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // a kernel without them has small ones
	}
	return mem, nil
}

func notDumped(mem []byte) error {
	if err := unix.Madvise(mem, unix.MADV_DONTDUMP); err != nil {
		return errors.Join(fmt.Errorf("excluding from core dumps: %w", err), unix.Munmap(mem))
	}
	return nil
}

func unmap(mem []byte) {
	if mem == nil {
		return
	}
	if err := unix.Munmap(mem); err != nil {
		panic(fmt.Sprintf("unmapping %d bytes: %v", len(mem), err))
	}
}
