package fs

import (
	"context"
	"slices"
	"sync"
	"time"

	"orthanc-bucketfs/fs/attachment"
)

// Orthanc looks at a file before it deletes it. If the look is not answered, it does
// not call unlink, reports success, and goes on to remove the directories: an rmdir of
// AA/BB by the thread whose look at a file in it has just failed is a delete that never
// reached the mount. No other of its calls is an rmdir (traced on 1.10.1, 1.12.7 and
// 1.13.0, stores that fail among them). That is enough to name the file, and too little
// to delete it.
const (
	maxFailedLooks = 256 // that are remembered
	rmdirFollows   = 10 * time.Second
)

// failedLook is a look at an attachment that could not be answered.
type failedLook struct {
	thread uint32
	uuid   attachment.UUID
	at     time.Time
}

// failedLooks are the last ones.
type failedLooks struct {
	mu   sync.Mutex // guards last
	last []failedLook
}

// doubtDeleted notes the delete that an rmdir of d may have been the end of.
func (t *tree) doubtDeleted(ctx context.Context, d *dirNode) {
	if u, ok := t.failedLooks.take(ctx, d.aa, d.bb); ok {
		t.store.DoubtDeleted(u)
	}
}

func (f *failedLooks) add(ctx context.Context, u attachment.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.last) == maxFailedLooks {
		f.last = f.last[1:]
	}
	f.last = append(f.last, failedLook{callerID(ctx), u, time.Now()})
}

// take returns the attachment in AA/BB that the caller's thread has just looked at in
// vain, once.
func (f *failedLooks) take(ctx context.Context, aa, bb byte) (attachment.UUID, bool) {
	thread := callerID(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.last, func(l failedLook) bool {
		return l.thread == thread && l.uuid[0] == aa && l.uuid[1] == bb && time.Since(l.at) < rmdirFollows
	})
	if i < 0 {
		return attachment.UUID{}, false
	}
	u := f.last[i].uuid
	f.last = slices.Delete(f.last, i, i+1)
	return u, true
}
