package fs

import "sync"

// author tells whose flush ends a file. The kernel flushes a handle whenever any
// of its descriptors is closed, also those that a fork or a dup made.
type author struct {
	process uint32 // that created the file, or 0 if it cannot be seen

	mu      sync.Mutex // guards the fields below
	owner   uint64     // lock owner of the last write that told; 0 if none has
	flushed bool       // the author has, since then
}

// wrote notes whose write it was, if that is known.
func (a *author) wrote(owner uint64) {
	if owner == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.owner, a.flushed = owner, false
}

// foreign reports that a flush is not by the author, and that the author has not
// closed the file: its own flush is still to come.
func (a *author) foreign(owner uint64, tid uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.flushed {
		a.flushed = a.is(owner, tid)
	}
	return !a.flushed
}

// is reports whether the flush is by the author, or nobody else's is to come.
// Whoever created a file is its author until a write has told more.
func (a *author) is(owner uint64, tid uint32) bool {
	if a.owner != 0 {
		return owner == a.owner
	}
	process := processOf(tid)
	return a.process == 0 || process == 0 || process == a.process || !exists(a.process)
}
