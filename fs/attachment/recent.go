package attachment

import (
	"sync"
	"time"
)

// recent remembers what this store has committed, for a few seconds, so that
// looking at it costs no request. The kernel could not be told to remember the
// name: it belonged to a file that might still have failed.
type recent struct {
	ttl time.Duration

	mu     sync.Mutex // guards the fields below
	byUUID map[UUID]Info
	order  []Info // as they were added
}

func newRecent(ttl time.Duration) *recent {
	return &recent{ttl: ttl, byUUID: map[UUID]Info{}}
}

// find returns what is remembered of u.
func (r *recent) find(u UUID) (Info, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, ok := r.byUUID[u]
	return info, ok && time.Since(info.Seen) < r.ttl
}

func (r *recent) add(info Info) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byUUID[info.UUID] = info
	r.order = append(r.order, info)
	for len(r.order) > 0 && time.Since(r.order[0].Seen) >= r.ttl {
		if old := r.order[0]; r.byUUID[old.UUID] == old {
			delete(r.byUUID, old.UUID)
		}
		r.order = r.order[1:]
	}
}

// forget makes the next look at u ask the bucket.
func (r *recent) forget(u UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byUUID, u)
}
