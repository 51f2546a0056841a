package attachment

import (
	"context"
	"sync"
	"sync/atomic"

	"orthanc-bucketfs/fs/budget"
	"orthanc-bucketfs/fs/memory"
)

// Writer is an attachment being written. Its first error sticks: every later
// call but Discard and Delete reports an error, and nothing is uploaded. It is safe for
// concurrent use.
type Writer struct {
	uuid    UUID
	store   *Store
	release func() // of its claim

	mu    sync.Mutex // guards all below; held during a commit
	buf   *memory.Buffer
	state writerState
	err   error // why nothing can be written any more
	info  Info  // of the committed object
	prior Info  // of the one that Commit replaces; zero if there is none

	size atomic.Int64 // of the content; can be read during a commit
}

type writerState int

const (
	writing writerState = iota
	committed
	failed
	deleted
)

// Create returns a Writer for u, without a request: whether u is taken shows
// at Commit. The caller ends it with Commit or Discard.
func (s *Store) Create(u UUID) *Writer {
	s.census.note(u)
	head, tail := s.codec.Frame()
	s.Counters.Writing.Add(1)
	return &Writer{uuid: u, store: s, buf: s.memory.New(budget.Write, head, tail), release: s.unsettled.Claim(u.Key())}
}

// expedited is how many bytes an expedited Writer takes without asking for more
// memory: more than nearly all attachments have. With the frame it is 4 MiB.
const expedited = 4<<20 - 4<<10

// Expedite makes the Writer, in which nothing has been written, one that does
// not wait for the budget: it passes all others, beyond the limit if need be.
// It reports false if memory is not plentiful; then it did nothing. There may
// be few such Writers at a time.
func (w *Writer) Expedite() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state == writing && w.buf.Expedite(expedited)
}

// ReadAt copies what has been written from offset off on into p and returns how
// many bytes it copied. It fails when nothing can be written any more: it is for
// whoever completes a page before it writes a part of it.
func (w *Writer) ReadAt(p []byte, off int64) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.writable(); err != nil || off < 0 || off >= int64(w.buf.Size()) {
		return 0, err
	}
	return copy(p, w.buf.Content()[off:]), nil
}

// WriteAt writes p at offset off, all of it or nothing. What lies between the
// old end and off is zero. It may wait for the budget.
func (w *Writer) WriteAt(ctx context.Context, p []byte, off int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.writable(); err != nil {
		return err
	}
	if end := off + int64(len(p)); end > int64(w.buf.Size()) {
		if err := w.resize(ctx, end); err != nil {
			return err
		}
	}
	copy(w.buf.Content()[off:], p)
	return nil
}

// Truncate sets the size; what it adds is zero. It may wait for the budget.
func (w *Writer) Truncate(ctx context.Context, size int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.writable(); err != nil {
		return err
	}
	return w.resize(ctx, size)
}

// Size returns the present size in bytes.
func (w *Writer) Size() int64 { return w.size.Load() }

// Commit uploads the attachment if that has not been done, and returns its
// description. It does not end with ctx.
func (w *Writer) Commit(ctx context.Context) (Info, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != writing {
		return w.info, w.err
	}
	// If the commit panics, the half sealed buffer must not be used again.
	w.become(failed)
	w.err = ErrDiscarded
	defer w.release()
	defer w.buf.Free()
	info, err := w.store.commit(context.WithoutCancel(ctx), w.uuid, w.buf, w.prior)
	if err != nil {
		w.err = err
		return Info{}, err
	}
	w.become(committed)
	w.err, w.info, w.prior = nil, info, Info{}
	return info, nil
}

// Told notes that whoever waited for Commit has heard that it succeeded. Where
// there is a journal, it is to be called at some time after a Commit that did.
func (w *Writer) Told() { w.store.unsettled.Told(w.uuid.Key()) }

// Discard gives up an attachment that is not committed.
func (w *Writer) Discard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == writing {
		w.fail(ErrDiscarded)
	}
}

// Delete ends the writing because the attachment is being deleted. It waits
// for a commit in flight, and reports whether there is an object to delete.
// Afterwards Commit has nothing to do and succeeds.
func (w *Writer) Delete() (wasCommitted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == writing {
		w.buf.Free()
		w.become(deleted)
		w.release()
		w.info = Info{}
	}
	return w.state == committed || w.prior.Version != ""
}

// become changes the state, and counts those that are writing.
func (w *Writer) become(next writerState) {
	switch {
	case w.state == writing && next != writing:
		w.store.Counters.Writing.Add(-1)
	case w.state != writing && next == writing:
		w.store.Counters.Writing.Add(1)
		w.release = w.store.unsettled.Claim(w.uuid.Key())
	}
	w.state = next
}

func (w *Writer) writable() error {
	switch w.state {
	case committed:
		return &Error{Op: "write", Key: w.uuid.Key(), Err: ErrCommitted}
	case deleted:
		return &Error{Op: "write", Key: w.uuid.Key(), Err: ErrDeleted}
	default:
		return w.err
	}
}

func (w *Writer) resize(ctx context.Context, size int64) error {
	if err := w.buf.Resize(ctx, size); err != nil {
		return w.fail(&Error{Op: "write", Key: w.uuid.Key(), Err: err})
	}
	w.size.Store(size)
	return nil
}

func (w *Writer) fail(err error) error {
	if w.state == writing {
		defer w.release()
	}
	w.become(failed)
	w.err = err
	w.buf.Free()
	return err
}
