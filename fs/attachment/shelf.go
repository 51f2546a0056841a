package attachment

import (
	"container/list"
	"sync"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/memory"
)

// shelf keeps for a moment what is likely to be asked for next, so that it costs
// no request:
//
//   - what this store has committed: it is looked at, to be listed or read;
//   - the first bytes of what was looked at, which are all of a small
//     attachment: it is opened;
//   - what was open: Orthanc reads the header of a file, closes it, and opens it
//     again for the rest.
//
// Of what is small and has been read to its end no more than a share of the budget
// is kept: it is the least likely to be asked for again, and takes one request if
// it is; and a burst of reads that goes through little memory, over and over, is
// faster by a third.
//
// What is kept is one version of an attachment, and it is not believed for
// longer than a moment after it was seen in the bucket; then a look that finds the
// same version makes it as good as new. What is open stays on the shelf. What this
// store deletes or cannot open is off the shelf at once. The memory is lent:
// whoever needs it gets it.
type shelf struct {
	committed time.Duration // how long what was committed is believed to be there
	moment    time.Duration // how long contents are

	mu      sync.Mutex // guards the fields below, and those of items, looks and flights; the budget's comes after it
	items   map[UUID]*item
	looks   map[*look]struct{}
	flights map[UUID][]*flight // that may be joined

	score    int  // of the guesses that what is looked at will be opened
	deleting bool // what was looked at last was deleted

	spent      *list.List // of *item: those whose small bodies have been read to their ends
	spentBytes int64      // of these bodies
	spentLimit int64
}

// spentShare is the part of the budget that what is small and read to its end may
// take: 8 MiB of the default, which stay in the processor's cache.
const spentShare = 128

// item is what is known of one attachment.
type item struct {
	info  Info
	until time.Time // when info is no longer believed
	first *first    // what has been fetched and not been opened; or nil
	body  *body     // what has been opened; or nil
	timer *time.Timer
	old   bool          // its time is over, but it is open
	spent *list.Element // in shelf.spent; or nil
}

// first is the beginning of an object, perhaps all of it.
type first struct {
	buf  *memory.Buffer // a frame of n bytes
	n    int
	obj  backends.Object
	seen time.Time // when the request for it began
	took time.Duration
}

// fetched reports that f holds something, were it an object without bytes.
func (f *first) fetched() bool { return f.obj.Version != "" }

// whole reports that f is all of the object.
func (f *first) whole() bool { return int64(f.n) == f.obj.Size }

// body is the verified content of an attachment, shared by Files.
type body struct {
	info    Info
	seen    time.Time // in the bucket, for the last time; guarded by the shelf
	buf     *memory.Buffer
	content []byte
	refs    int
	ended   bool // its end has been read
}

// look is a request under way: what it finds is not put on the shelf if the
// attachment has been taken off meanwhile.
type look struct {
	uuid    UUID
	stale   bool
	fetches bool // one of those at the attachment brings its first bytes
}

func newShelf(t Timing, budget int64) *shelf {
	return &shelf{
		committed: t.Recent, moment: t.Moment, score: maxScore,
		items: map[UUID]*item{}, looks: map[*look]struct{}{}, flights: map[UUID][]*flight{},
		spent: list.New(), spentLimit: budget / spentShare,
	}
}

// begin notes a look at u. The caller ends it.
func (s *shelf) begin(u UUID) *look {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &look{uuid: u}
	s.looks[l] = struct{}{}
	return l
}

func (s *shelf) end(l *look) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.looks, l)
}

// find returns what is believed of u.
func (s *shelf) find(u UUID) (Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it := s.items[u]; it != nil && time.Now().Before(it.until) {
		return it.info, true
	}
	return Info{}, false
}

// add notes what has just been committed.
func (s *shelf) add(info Info) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.believe(&item{info: info}, s.committed)
}

// believe puts it on the shelf for as long as it may be believed.
func (s *shelf) believe(it *item, believed time.Duration) {
	s.put(it, believed, believed-time.Since(it.info.Seen))
}

// put puts it on the shelf, in the place of what was there, for as long as keep
// says.
func (s *shelf) put(it *item, believed, keep time.Duration) {
	s.drop(s.items[it.info.UUID])
	if keep <= 0 {
		s.discard(it)
		return
	}
	it.until = it.info.Seen.Add(believed)
	s.items[it.info.UUID] = it
	it.timer = time.AfterFunc(keep, func() { s.expire(it) })
}

// expire takes it off the shelf when its time is over, and it is not open.
func (s *shelf) expire(it *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it.body != nil && it.body.refs > 0 {
		it.old = true
		return
	}
	s.drop(it)
}

// remove takes it off the shelf, and reports whether it was there.
func (s *shelf) remove(it *item) bool {
	if it == nil || s.items[it.info.UUID] != it {
		return false
	}
	delete(s.items, it.info.UUID)
	it.timer.Stop()
	s.unspend(it)
	return true
}

// spend notes that nobody uses a body that has been read to its end, and takes
// the oldest of those off the shelf if they are too many. The last one stays.
func (s *shelf) spend(it *item) {
	it.spent = s.spent.PushBack(it)
	s.spentBytes += int64(len(it.body.content))
	for s.spentBytes > s.spentLimit && s.spent.Len() > 1 {
		oldest := s.spent.Front().Value.(*item)
		s.unspend(oldest)
		s.drop(oldest)
	}
}

func (s *shelf) unspend(it *item) {
	if it.spent == nil {
		return
	}
	s.spent.Remove(it.spent)
	s.spentBytes -= int64(len(it.body.content))
	it.spent = nil
}

// drop takes it off the shelf, if it is there, and frees what nobody uses.
func (s *shelf) drop(it *item) {
	if s.remove(it) {
		s.discard(it)
	}
}

// discard frees what nobody uses. A buffer that cannot be taken back is being
// given up.
func (s *shelf) discard(it *item) {
	if f := it.first; f != nil && f.buf.TakeBack() {
		s.guessed(false)
		f.buf.Free()
	}
	if b := it.body; b != nil && b.refs == 0 && b.buf.TakeBack() {
		b.buf.Free()
	}
	it.first, it.body = nil, nil
}

// forget takes u off the shelf, and keeps requests under way from putting it
// there.
func (s *shelf) forget(u UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.items[u])
	delete(s.flights, u)
	for l := range s.looks {
		if l.uuid == u {
			l.stale = true
		}
	}
}

// clear empties the shelf.
func (s *shelf) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.items {
		s.drop(it)
	}
}

// keep puts on the shelf what l has found, with what came with it, or nil. It
// reports false if the caller has to free that.
func (s *shelf) keep(l *look, info Info, f *first) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.stale || s.moment <= 0 {
		return false
	}
	if was := s.items[info.UUID]; was != nil && was.body != nil && was.info.isOf(info) {
		s.confirm(was.body, info.Seen)
		return false
	}
	it := &item{info: info, first: f}
	if f != nil && !f.buf.Lend(func() { s.giveUp(it, f.buf) }) {
		return false
	}
	s.believe(it, s.moment)
	return true
}

// giveUp frees a buffer that somebody else needs.
func (s *shelf) giveUp(it *item, buf *memory.Buffer) {
	s.mu.Lock()
	s.remove(it)
	it.first, it.body = nil, nil
	s.mu.Unlock()
	buf.Free()
}

// takeFirst hands out what has been fetched of the version that want describes,
// or nil. It is the caller's.
func (s *shelf) takeFirst(want Info) *first {
	it := s.items[want.UUID]
	if it == nil || it.first == nil || !it.info.isOf(want) {
		return nil
	}
	f := it.first
	if !f.buf.TakeBack() {
		return nil
	}
	it.first = nil
	s.guessed(true)
	return f
}

// share returns what is open, or was a moment ago, of the version that want
// describes, or nil. The caller releases it.
func (s *shelf) share(want Info) *body {
	it := s.items[want.UUID]
	if it == nil || it.body == nil || !it.info.isOf(want) {
		return nil
	}
	b := it.body
	if b.refs == 0 && !b.buf.TakeBack() {
		return nil
	}
	s.unspend(it)
	b.refs++
	return b
}

// believed reports that b, which want describes, was in the bucket less than a
// moment before then.
func (s *shelf) believed(b *body, want Info, then time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return then.Sub(b.seen) < s.moment || then.Sub(want.Seen) < s.moment
}

// confirmed notes that b was in the bucket when seen says.
func (s *shelf) confirmed(b *body, seen time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirm(b, seen)
}

func (s *shelf) confirm(b *body, seen time.Time) {
	if seen.Before(b.seen) {
		return
	}
	b.seen = seen
	if it := s.items[b.info.UUID]; it != nil && it.body == b {
		it.info.Seen, it.until, it.old = seen, seen.Add(s.moment), false
		it.timer.Reset(s.moment)
	}
}

// release ends one use of b, in which it has been read to its end, or not. What
// nobody uses is lent, or freed if it is not on the shelf.
func (s *shelf) release(b *body, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(b, ended)
}

func (s *shelf) leave(b *body, ended bool) {
	b.ended = b.ended || ended
	if b.refs--; b.refs > 0 {
		return
	}
	it := s.items[b.info.UUID]
	if it == nil || it.body != b {
		b.buf.Free()
		return
	}
	if it.old || !b.buf.Lend(func() { s.giveUp(it, b.buf) }) {
		s.remove(it)
		b.buf.Free()
		return
	}
	if b.ended && len(b.content) <= peekSize {
		s.spend(it)
	}
}
