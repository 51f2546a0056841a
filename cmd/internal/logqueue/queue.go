package logqueue

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound what is in a Queue.
type Limits struct{ Lines, Bytes int }

// Default is enough for the lines of some ten seconds of heavy load.
func Default() Limits { return Limits{Lines: 8192, Bytes: 4 << 20} }

// entry is a line, or the place where lines were dropped.
type entry struct {
	line    []byte
	dropped uint64 // instead of a line
}

// Queue is an io.Writer that never waits. It is safe for concurrent use.
type Queue struct {
	to     io.Writer
	limits Limits
	notice func(dropped uint64) []byte

	wake  chan struct{} // holds a value when there may be something to do
	ended chan struct{} // closed when nothing is written any more
	total atomic.Uint64 // lines dropped

	mu      sync.Mutex // guards what follows; never held while writing
	entries []entry
	bytes   int    // in entries
	full    bool   // since a line was dropped
	missed  uint64 // lines dropped that no line has told of
	failing bool   // the last write failed: a notice would as well
	closed  bool
}

// New returns a queue in front of to. notice makes the line that tells of lines
// that were dropped.
func New(to io.Writer, limits Limits, notice func(dropped uint64) []byte) *Queue {
	q := &Queue{to: to, limits: limits, notice: notice, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// Write queues a line. It always reports success.
func (q *Queue) Write(line []byte) (int, error) {
	q.put(line)
	q.rouse()
	return len(line), nil
}

func (q *Queue) put(line []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		q.total.Add(1)
		return
	case q.full, len(q.entries) >= q.limits.Lines, q.bytes+len(line) > q.limits.Bytes:
		q.full = true
		q.drop()
		return
	}
	q.entries = append(q.entries, entry{line: bytes.Clone(line)})
	q.bytes += len(line)
}

// drop counts a line that is not written. The caller holds mu.
func (q *Queue) drop() {
	q.missed++
	q.total.Add(1)
}

func (q *Queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Dropped returns how many lines were not written, ever.
func (q *Queue) Dropped() uint64 { return q.total.Load() }

// Waiting returns how many lines wait to be written.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries)
}

// Close takes no more lines and returns when all are written, or after
// patience. It reports whether they are.
func (q *Queue) Close(patience time.Duration) bool {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.rouse()
	select {
	case <-q.ended:
		return true
	case <-time.After(patience):
		return false
	}
}
