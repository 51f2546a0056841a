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

// Read answers with the memory itself, without a copy.
func (h *readHandle) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	content := h.file.View(len(dest), off)
	if len(content) == 0 {
		return fuse.ReadResultData(nil), 0 // go-fuse does not end an empty one
	}
	return &view{h.file, content}, 0
}

// view is content on its way to the kernel. It implements fuse.ReadResult.
// go-fuse asks for Slices where there is such a method, and otherwise tries to
// splice first, which takes a pipe and cannot succeed.
type view struct {
	file    *attachment.File
	content []byte
}

func (v *view) Bytes([]byte) ([]byte, fuse.Status) { return v.content, fuse.OK }

func (v *view) Slices() ([][]byte, fuse.Status) { return [][]byte{v.content}, fuse.OK }

func (v *view) Size() int { return len(v.content) }

func (v *view) Done() { v.file.Done() }

var _ = (gofs.FileFsyncer)((*readHandle)(nil))

func (h *readHandle) Fsync(context.Context, uint32) syscall.Errno { return 0 }

var _ = (gofs.FileReleaser)((*readHandle)(nil))

func (h *readHandle) Release(context.Context) syscall.Errno {
	h.file.Close()
	return 0
}
