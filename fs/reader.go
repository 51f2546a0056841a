package fs

import (
	"context"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/fs/attachment"
)

// readHandle serves reads from memory. It cannot fail.
type readHandle struct {
	file *attachment.File
}

var _ = (gofs.FileReader)((*readHandle)(nil))

// Read copies: the memory may be given back before go-fuse has sent the answer.
func (h *readHandle) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return fuse.ReadResultData(dest[:h.file.ReadAt(dest, off)]), 0
}

var _ = (gofs.FileFsyncer)((*readHandle)(nil))

func (h *readHandle) Fsync(context.Context, uint32) syscall.Errno { return 0 }

var _ = (gofs.FileReleaser)((*readHandle)(nil))

func (h *readHandle) Release(context.Context) syscall.Errno {
	h.file.Close()
	return 0
}
