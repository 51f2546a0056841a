package logqueue

import (
	"errors"
	"io"
	"syscall"
	"time"
)

// pause is between two tries to write to a descriptor that somebody who shares
// it has made non-blocking, and that has no room: Go does not wait for such.
const pause = 20 * time.Millisecond

// run writes what is queued until the queue is closed and empty.
func (q *Queue) run() {
	defer close(q.ended)
	for {
		e, more := q.next()
		switch {
		case more:
			q.write(e)
		case q.isClosed():
			return
		default:
			<-q.wake
		}
	}
}

// next takes the first entry out of the queue.
func (q *Queue) next() (e entry, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tell()
	if len(q.entries) == 0 {
		return entry{}, false
	}
	e = q.entries[0]
	q.entries[0] = entry{}
	q.entries = q.entries[1:]
	q.bytes -= len(e.line)
	return e, true
}

// tell queues the place of what was dropped once there is room again. The caller
// holds mu.
func (q *Queue) tell() {
	if q.missed == 0 || len(q.entries) > q.limits.Lines/2 || q.bytes > q.limits.Bytes/2 {
		return
	}
	q.full = false
	if q.failing {
		return
	}
	q.entries = append(q.entries, entry{dropped: q.missed})
	q.missed = 0
}

func (q *Queue) write(e entry) {
	line := e.line
	if e.dropped > 0 {
		line = q.notice(e.dropped)
	}
	err := writeAll(q.to, line)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failing = err != nil
	switch {
	case err == nil:
	case e.dropped > 0:
		q.missed += e.dropped
	default:
		q.drop()
	}
}

func (q *Queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && len(q.entries) == 0
}

func writeAll(w io.Writer, line []byte) error {
	for {
		n, err := w.Write(line)
		if !errors.Is(err, syscall.EAGAIN) {
			return err
		}
		line = line[n:]
		time.Sleep(pause)
	}
}
