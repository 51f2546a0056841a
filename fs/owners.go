package fs

import (
	"context"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// owners tells by the kernel's lock owner, which stands for the table of open
// files of a process, whose write or flush a request is. Threads share it, a
// forked child has its own, and it is the same in every namespace. A request's
// context has no more of the request than its cancellation, so that is the key.
type owners struct {
	fuse.RawFileSystem
	requests sync.Map // <-chan struct{} to uint64
}

// of returns the lock owner of a request, or 0 if the kernel has not told: it
// does not with a write that it has gathered.
func (o *owners) of(ctx context.Context) uint64 {
	c, ok := ctx.(*fuse.Context)
	if !ok {
		return 0
	}
	owner, _ := o.requests.Load(c.Cancel)
	n, _ := owner.(uint64)
	return n
}

func (o *owners) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	defer o.note(cancel, true, in.LockOwner)()
	return o.RawFileSystem.Flush(cancel, in)
}

func (o *owners) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	defer o.note(cancel, in.WriteFlags&fuse.WRITE_LOCKOWNER != 0, in.LockOwner)()
	return o.RawFileSystem.Write(cancel, in, data)
}

func (o *owners) Writev(cancel <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	defer o.note(cancel, in.WriteFlags&fuse.WRITE_LOCKOWNER != 0, in.LockOwner)()
	return o.RawFileSystem.Writev(cancel, in, data)
}

func (o *owners) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	defer o.note(cancel, in.Valid&fuse.FATTR_LOCKOWNER != 0, in.LockOwner)()
	return o.RawFileSystem.SetAttr(cancel, in, out)
}

// note remembers the owner, if it is known, until the function that it returns is
// called.
func (o *owners) note(cancel <-chan struct{}, known bool, owner uint64) func() {
	if !known {
		return func() {}
	}
	o.requests.Store(cancel, owner)
	return func() { o.requests.Delete(cancel) }
}
