package fs

import (
	"encoding/hex"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/local"
)

const (
	// dirTimeout: the directories of the layout never change.
	dirTimeout = time.Hour
	// fileTimeout is how long another machine's delete may go unseen by stat;
	// by open it may for attachment.Timing.Moment. Absence is not remembered for
	// longer than Options.Absence.
	fileTimeout = 10 * time.Second

	// Inode numbers of our own have bit 63 set, which those of local files
	// do not have; those of attachments bit 62, too.
	inoDirs        = 1 << 63
	inoAttachments = 1<<63 | 1<<62
)

// tree is what all nodes share.
type tree struct {
	store    *attachment.Store
	log      *slog.Logger
	uid, gid uint32
	readOnly bool
	root     *dirNode
	local    *local.Tree // nil without a local directory
	started  time.Time   // the directories' times

	gathers     bool // the kernel may gather writes: see cached.go
	draining    atomic.Bool
	places      *places       // of files that the kernel gathers writes for
	nodes       *nodes        // that the kernel knows
	owners      owners        // of requests
	failedLooks failedLooks   // that could not be answered
	generations atomic.Uint64 // the last one given to a node
	noLocalOnce sync.Once

	mu      sync.Mutex // guards pending and idle
	pending map[attachment.UUID]*attachmentNode
	idle    *sync.Cond // pending has become empty
}

func newTree(o Options) *tree {
	t := &tree{
		store:    o.Store,
		log:      o.Log,
		uid:      o.UID,
		gid:      o.GID,
		readOnly: o.ReadOnly,
		started:  time.Now(),
		places:   newPlaces(o.Store.Limit()),
		nodes:    newNodes(),
		pending:  map[attachment.UUID]*attachmentNode{},
	}
	t.idle = sync.NewCond(&t.mu)
	return t
}

// addPending registers a node that is being written. It reports false if there
// is one already.
func (t *tree) addPending(n *attachmentNode) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending[n.uuid] != nil {
		return false
	}
	t.pending[n.uuid] = n
	return true
}

func (t *tree) removePending(n *attachmentNode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending[n.uuid] == n {
		delete(t.pending, n.uuid)
	}
	if len(t.pending) == 0 {
		t.idle.Broadcast()
	}
}

func (t *tree) findPending(u attachment.UUID) *attachmentNode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pending[u]
}

// lead makes the kernel look up the name of n again if it led to another node
// meanwhile. Whoever calls it must not hold a lock that a
// lookup, a create or an unlink may wait for.
func (t *tree) lead(n *attachmentNode) {
	dir := t.root.EmbeddedInode()
	for _, b := range n.uuid[:2] {
		if dir = dir.GetChild(hex.EncodeToString([]byte{b})); dir == nil {
			return
		}
	}
	name := n.uuid.String()
	if child := dir.GetChild(name); child != nil && child != n.EmbeddedInode() {
		_ = dir.NotifyEntry(name) // the kernel may have forgotten it by itself
	}
}

// waitIdle returns when nothing is being written.
func (t *tree) waitIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.pending) > 0 {
		t.idle.Wait()
	}
}

var (
	errDraining = errors.New("the daemon is shutting down")
	errNoLocal  = errors.New("not an attachment, and no local directory is configured")
)

// refuseLocal is the answer for what is neither an attachment nor allowed to
// live in a local directory. The name is not logged: it may be a patient's.
func (t *tree) refuseLocal() syscall.Errno {
	t.noLocalOnce.Do(func() {
		t.log.Error("refused to create a file that is not an attachment: set local_dir to keep such files on a local disk, "+
			"or move Orthanc's IndexDirectory out of the mount (logged once)", "error", errNoLocal)
	})
	return syscall.EPERM
}

// fail logs an error and returns its errno. What another caller has been given, too,
// is logged there.
func (t *tree) fail(op string, err error) syscall.Errno {
	code := errno(err)
	switch {
	case code == 0:
	case code == syscall.EINTR:
		t.log.Debug(op+" was interrupted", attachment.Attrs(err)...)
	case attachment.IsShared(err):
		t.log.Debug(op+" failed with another", attachment.Attrs(err)...)
	default:
		t.log.Error(op+" failed", append(attachment.Attrs(err), "errno", code.Error())...)
	}
	return code
}

func (t *tree) dirAttr(out *fuse.Attr) {
	out.Mode = syscall.S_IFDIR | 0o700
	out.Nlink = 2
	out.Owner = fuse.Owner{Uid: t.uid, Gid: t.gid}
	out.SetTimes(&t.started, &t.started, &t.started)
}

func (t *tree) fileAttr(info attachment.Info, out *fuse.Attr) {
	out.Mode = syscall.S_IFREG | 0o600
	out.Nlink = 1
	out.Owner = fuse.Owner{Uid: t.uid, Gid: t.gid}
	out.Size = uint64(info.Size)
	out.SetTimes(&info.Modified, &info.Modified, &info.Modified)
}

// dirIdentity returns the identity of AA (depth 1) or AA/BB (depth 2).
func dirIdentity(depth int, aa, bb byte) gofs.StableAttr {
	return gofs.StableAttr{Mode: syscall.S_IFDIR, Ino: inoDirs | uint64(depth)<<16 | uint64(aa)<<8 | uint64(bb)}
}

// fileIdentity returns the identity of a new node of u. The number comes from
// the UUID; the generation is new, so that go-fuse never takes the node for
// another one, be it an older version or a UUID with the same number.
func (t *tree) fileIdentity(u attachment.UUID) gofs.StableAttr {
	return gofs.StableAttr{Mode: syscall.S_IFREG, Ino: fileIno(u), Gen: t.generations.Add(1)}
}

func fileIno(u attachment.UUID) uint64 {
	h := fnv.New64a()
	h.Write(u[:])
	return inoAttachments | h.Sum64()>>2
}
