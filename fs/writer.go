package fs

import (
	"context"
	"errors"
	"sync"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/fs/attachment"
)

// writeHandle is the handle that created an attachment.
type writeHandle struct {
	node   *attachmentNode
	author author
	order  sync.Mutex // held by a commit until it is noted, and by a reopening

	mu     sync.Mutex // guards the fields below
	logged bool       // the error that sticks has been logged
	told   bool       // an fsync has reported it

	refused syscall.Errno // why a write after the commit was not taken
}

// newWriteHandle returns the handle of a file that the process creates.
func newWriteHandle(n *attachmentNode, process uint32) *writeHandle {
	return &writeHandle{node: n, author: author{process: process}}
}

var _ = (gofs.FileWriter)((*writeHandle)(nil))

func (h *writeHandle) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	h.author.wrote(h.node.tree.owners.of(ctx))
	err := h.change(ctx, func(ctx context.Context) error { return h.node.writer.WriteAt(ctx, data, off) })
	if h.node.tree.gathers {
		h.node.tree.places.sized(h.node.writer.Size())
	}
	if err == nil {
		return uint32(len(data)), 0
	}
	code := h.fail("write", err)
	if !h.node.cached {
		return 0, code
	}
	if errors.Is(err, attachment.ErrCommitted) {
		h.late(code)
	}
	return uint32(len(data)), 0 // fsync or close will tell
}

var _ = (gofs.FileReader)((*writeHandle)(nil))

// Read serves the kernel, which completes a page before it writes a part of it.
// Nobody else can read through this handle. What comes of it when nothing can
// be written any more is refused when it is written.
func (h *writeHandle) Read(ctx context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	var n int
	_ = h.change(ctx, func(context.Context) (err error) { // fsync or close will tell
		n, err = h.node.writer.ReadAt(dest, off)
		return err
	})
	return fuse.ReadResultData(dest[:n]), 0
}

func (h *writeHandle) truncate(ctx context.Context, size int64) syscall.Errno {
	h.author.wrote(h.node.tree.owners.of(ctx))
	err := h.change(ctx, func(ctx context.Context) error { return h.node.writer.Truncate(ctx, size) })
	if err != nil {
		return h.fail("truncate", err)
	}
	return 0
}

// change does a change. One after a flush continues what that has committed.
func (h *writeHandle) change(ctx context.Context, do func(context.Context) error) error {
	patient := untilDying(ctx)
	defer patient.stop()
	err := do(patient)
	if !errors.Is(err, attachment.ErrCommitted) {
		return err
	}
	h.order.Lock()
	defer h.order.Unlock()
	if err = do(patient); !errors.Is(err, attachment.ErrCommitted) { // another one has reopened it
		return err
	}
	if !h.node.grows.Load() || h.lateErrno() != 0 {
		return err
	}
	if err := h.node.reopen(patient); err != nil {
		h.late(errno(err))
		return err
	}
	return do(patient)
}

var _ = (gofs.FileFsyncer)((*writeHandle)(nil))

// Fsync commits for good: nothing can follow. An empty file has nothing yet that
// anybody could miss.
func (h *writeHandle) Fsync(ctx context.Context, _ uint32) syscall.Errno {
	errno := h.commit(ctx, "fsync", true)
	if errno == 0 && deaf(callerID(ctx)) {
		h.node.tree.log.Warn("stored a file whose writer was killed meanwhile: if Orthanc does not know it, delete it by hand",
			"key", h.node.uuid.Key())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = h.told || errno != 0
	return errno
}

var _ = (gofs.FileFlusher)((*writeHandle)(nil))

// Flush commits what no fsync has committed. It is silent about an error that
// an fsync has reported: Orthanc answers a failed close by closing the same
// descriptor number again, which by then may be another thread's.
func (h *writeHandle) Flush(ctx context.Context) syscall.Errno {
	switch {
	case h.hasTold() || h.author.foreign(h.node.tree.owners.of(ctx), callerID(ctx)):
		return 0
	case h.node.pending() && killed(ctx):
		h.drop("its writer was killed")
		return syscall.EIO
	}
	return h.commit(ctx, "flush", false)
}

func (h *writeHandle) hasTold() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.told
}

func (h *writeHandle) commit(ctx context.Context, op string, final bool) syscall.Errno {
	if h.node.writer.Size() <= smallFile {
		h.node.gathered()
	}
	if code := h.lateErrno(); code != 0 {
		return code
	}
	h.order.Lock()
	defer h.order.Unlock()
	info, err := h.node.writer.Commit(ctx)
	if err != nil {
		return h.fail(op, err)
	}
	if info != (attachment.Info{}) { // not unlinked in the meantime
		h.node.committed(info)
	}
	if final && info.Size > 0 {
		h.node.grows.Store(false)
	}
	return 0
}

// fail ends the writing of the attachment: its name is gone. An error is
// logged the first time only.
func (h *writeHandle) fail(op string, err error) syscall.Errno {
	h.node.tree.removePending(h.node)
	h.mu.Lock()
	logged := h.logged
	h.logged = true
	h.mu.Unlock()
	if logged {
		return stuck(errno(err))
	}
	return h.node.tree.fail(op, err)
}

// stuck is the errno of an error that has been reported before. EINTR would
// invite the caller to try again for ever.
func stuck(code syscall.Errno) syscall.Errno {
	if code == syscall.EINTR {
		return syscall.EIO
	}
	return code
}

var _ = (gofs.FileReleaser)((*writeHandle)(nil))

// Release drops what was never committed. Nobody would hear of a failure here.
func (h *writeHandle) Release(context.Context) syscall.Errno {
	h.node.grows.Store(false)
	h.node.gathered()
	h.node.writer.Told()
	if h.node.pending() {
		h.drop("its writer did not close it")
	}
	return 0
}

// drop gives up a file that nobody was told is stored.
func (h *writeHandle) drop(reason string) {
	h.node.writer.Discard()
	h.node.tree.removePending(h.node)
	h.mu.Lock()
	h.logged = true
	h.mu.Unlock()
	h.node.tree.log.Warn("dropped an unfinished file: "+reason, "key", h.node.uuid.Key())
}
