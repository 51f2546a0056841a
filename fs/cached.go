package fs

import (
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Orthanc writes in pieces of 4,096 bytes, and each would be a request to the
// daemon. Instead, the kernel may gather them in its cache and hand them over
// when the file is synced or closed (CAP_WRITEBACK_CACHE). One file of 512 KiB
// and one of 100 MiB, written so into a daemon that does nothing but copy, on
// Linux 6.18 with two busy cores, in ms, and the requests of the small one:
//
//	                                       512 KiB  100 MiB  requests
//	each write a request, kernel's cache      2.45     1014       128
//	each write a request, direct I/O          2.30      737       128
//	gathered, requests of 1 MiB               0.77      387         1
//	gathered, requests of 512 KiB             0.71      194         1
//	gathered, requests of 256 KiB             0.78      254         2
//	gathered, requests of 128 KiB             0.82      172         4
//
// A request occupies a buffer of its greatest size also while it waits, so
// maxWrite is where more gives no more. Extended attributes are refused with
// ENOSYS: the kernel would ask for one before every write.
//
// What that changes, and how the promises are kept:
//
//   - The kernel hears of a refused write, and Orthanc has long gone on. So a
//     gathered write never fails; its error sticks to the handle, and is
//     reported by fsync, or else by close, with its own errno.
//   - The kernel has the last word on the size of a file it gathers writes for,
//     also after the commit. So the inode that was written through is no longer
//     found by its name once it is committed: the name leads to a new one, with
//     the size of the committed version, of which nothing is in any cache.
//   - What one file waits for, all wait for whose writes are gathered, because
//     the kernel bounds the sum of what it has gathered. So such a file takes
//     memory for its first bytes when it is created, if memory is plentiful,
//     and afterwards passes everybody. There are few at a time, for whose sizes
//     there is memory, and a file waits a moment for a place among them, which
//     that of a small file takes for milliseconds: see places.go. Without a place
//     it is written with direct I/O, where a write waits for itself alone.
//   - With a local directory nothing is gathered: it would be for all files of
//     the mount, and what SQLite has written without a sync would be lost with
//     the daemon.

// capabilities returns what to ask the kernel for beyond go-fuse's own.
func capabilities(o Options) uint64 {
	if o.Local != nil || o.ReadOnly {
		return 0
	}
	return fuse.CAP_WRITEBACK_CACHE
}

// gather makes n, in which nothing has been written, a file whose writes the
// kernel gathers, if that can be. Such writes do not tell whose they are, so the
// process that creates the file must be known.
func (n *attachmentNode) gather(process uint32) {
	if !n.tree.gathers || process == 0 {
		return
	}
	if !n.tree.places.take() {
		return
	}
	if !n.writer.Expedite() {
		n.tree.places.leave()
		return
	}
	n.cached = true
	n.counted.Store(true)
}

// gathered makes place for another file.
func (n *attachmentNode) gathered() {
	if n.counted.CompareAndSwap(true, false) {
		n.tree.places.leave()
	}
}

// openFlags returns how the kernel is to write n.
func (n *attachmentNode) openFlags() uint32 {
	if n.cached {
		return 0
	}
	return fuse.FOPEN_DIRECT_IO
}

// attrTimeout returns how long the kernel need not ask for the attributes. It
// would ask before every write that it gathers.
func (n *attachmentNode) attrTimeout() time.Duration {
	switch {
	case n.cached:
		return dirTimeout
	case n.pending():
		return 0
	default:
		return fileTimeout
	}
}

// resizes reports that size may be another one than that of n, which is only
// known to the kernel while it gathers writes.
func (n *attachmentNode) resizes(size int64) bool {
	return n.cached || size != n.current().Size
}

// late notes that a gathered write was refused because the attachment is
// committed already: fsync and close report it.
func (h *writeHandle) late(code syscall.Errno) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused = code
}

func (h *writeHandle) lateErrno() syscall.Errno {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused
}
