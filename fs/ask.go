package fs

import (
	"os"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Ask looks a name up in 00/00 as the kernel does for others, and returns when
// that is answered, whatever the answer is: a process without rights cannot ask
// through the kernel, which keeps the directories to their owner. It never
// returns if the tree hangs.
func (m *Mount) Ask(name string) {
	serving := &m.tree.owners
	in := fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID}
	in.Uid, in.Gid, in.Pid = uint32(os.Geteuid()), uint32(os.Getegid()), uint32(os.Getpid())
	never := make(chan struct{})
	for _, name := range []string{"00", "00", name} {
		var out fuse.EntryOut
		if !serving.Lookup(never, &in, name, &out).Ok() || out.NodeId == 0 {
			return
		}
		defer serving.Forget(out.NodeId, 1)
		in.NodeId = out.NodeId
	}
}
