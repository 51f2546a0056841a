package fs

import (
	"bytes"
	"errors"
	"fmt"
	iofs "io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends/backendtest"
)

// The rules of the tree in their plainest form: what is committed, and what is
// open. Random sequences of calls are made on a real mount and on the model,
// and every answer is compared.
type model struct {
	committed map[int][]byte
	writers   map[int]*modelWriter // by file; one at a time each
	readers   []*modelReader
}

type modelWriter struct {
	fd       int
	content  []byte
	finished bool          // committed or unlinked
	synced   bool          // committed for good
	prior    bool          // continues what a flush has committed
	unlinked bool          // before it was committed
	failed   syscall.Errno // sticks
	late     bool          // a write after the commit was gathered
	told     bool          // by an fsync
}

type modelReader struct {
	file    *os.File
	content []byte
}

const modelFiles = 6

func TestModel(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprintf("faults=%v/gathered=%v/remembering=%v/%d", seed%2 == 1, seed >= 8, seed >= 16, seed), func(t *testing.T) {
			p := newPlayer(t, seed)
			for range 400 {
				p.step()
				if t.Failed() {
					t.Fatalf("last steps:\n%s", strings.Join(p.trace[max(0, len(p.trace)-12):], "\n"))
				}
			}
			p.finish()
		})
	}
}

// player makes the calls.
type player struct {
	*testing.T
	*rand.Rand
	r      *rig
	m      model
	faults bool
	gather bool
	keeps  bool // what was seen a moment ago is served without a request
	trace  []string
}

func newPlayer(t *testing.T, seed uint64) *player {
	gather, keeps := seed >= 8, seed >= 16
	return &player{
		T: t, Rand: rand.New(rand.NewPCG(seed, 0)), faults: seed%2 == 1, gather: gather, keeps: keeps,
		r: newRig(t, func(s *setting) {
			s.noLocal, s.limit = gather, 1<<30 // with places for all files
			if keeps {
				remembering(s)
			}
		}),
		m: model{committed: map[int][]byte{}, writers: map[int]*modelWriter{}},
	}
}

func (p *player) step() {
	n := p.IntN(modelFiles)
	ops := []func(int){p.create, p.write, p.write, p.write, p.truncate, p.sync, p.flush, p.close, p.stat, p.open, p.read, p.closeReader, p.unlink, p.forbidden, p.list}
	ops[p.IntN(len(ops))](n)
}

func (p *player) note(format string, args ...any) {
	p.trace = append(p.trace, fmt.Sprintf(format, args...))
}

// agree compares an errno with the model's.
func (p *player) agree(what string, n int, err error, want syscall.Errno) {
	p.Helper()
	p.note("%s %d: %v", what, n, err)
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		p.Errorf("%s of file %d: %v, the model says %v", what, n, err, want)
	}
}

// pending reports that file n is visible only as being written.
func (m *model) pending(n int) bool {
	w := m.writers[n]
	return w != nil && !w.finished && w.failed == 0
}

func (p *player) create(n int) {
	if p.m.writers[n] != nil {
		return
	}
	want := syscall.Errno(0)
	if _, ok := p.m.committed[n]; ok {
		want = syscall.EPERM
	}
	fd, err := syscall.Open(p.r.path(n), syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC, 0o666)
	p.agree("create", n, err, want)
	if err == nil {
		p.m.writers[n] = &modelWriter{fd: fd}
	}
}

// changing returns what the model says to a change.
func (w *modelWriter) changing() syscall.Errno {
	switch {
	case w.failed != 0:
		return w.failed
	case w.unlinked:
		return syscall.ENOENT
	case w.finished && w.synced:
		return syscall.EPERM
	}
	return 0
}

// changed notes a change, which continues what a flush has committed.
func (w *modelWriter) changed() {
	w.prior = w.prior || w.finished
	w.finished = false
}

// fixed reports that file n is committed empty, which nothing makes final, or that
// what was committed has been deleted.
func (m *model) fixed(n int, w *modelWriter) bool {
	if !w.finished || w.unlinked {
		return false
	}
	_, ok := m.committed[n]
	return !ok || w.synced && len(w.content) == 0
}

func (p *player) write(n int) {
	w := p.m.writers[n]
	if w == nil || p.m.fixed(n, w) {
		return
	}
	data := make([]byte, 1+p.IntN(10000))
	data[0] = byte(p.IntN(256))
	off := p.IntN(len(w.content) + 3000)
	want := w.changing()
	taken := want == 0
	if p.gather { // the kernel does not know
		want, w.late = 0, w.late || w.finished && !w.unlinked && w.synced
	}
	_, err := syscall.Pwrite(w.fd, data, int64(off))
	p.agree("write", n, err, want)
	if taken && err == nil {
		w.changed()
		w.content = append(w.content, make([]byte, max(0, off+len(data)-len(w.content)))...)
		copy(w.content[off:], data)
		p.handOver(w)
	}
}

// handOver has the kernel hand over what it has gathered for a file that was
// flushed before: until then nobody else sees that it goes on.
func (p *player) handOver(w *modelWriter) {
	const all = unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	if !p.gather || !w.prior {
		return
	}
	if err := unix.SyncFileRange(w.fd, 0, 0, all); err != nil {
		p.Error(err)
	}
}

func (p *player) truncate(n int) {
	w := p.m.writers[n]
	if w == nil || p.m.fixed(n, w) || w.finished && (w.unlinked || w.synced) {
		return
	}
	size := p.IntN(20000)
	want := w.changing()
	if size == len(w.content) && !p.gather {
		return
	}
	p.agree("truncate", n, syscall.Ftruncate(w.fd, int64(size)), want)
	if want == 0 {
		w.changed()
		w.content = append(w.content, make([]byte, max(0, size-len(w.content)))...)[:size]
	}
}

// disturb makes the next commit, fetch or delete fail in some way, and returns
// what the model says to it.
func (p *player) disturb(op backendtest.Op) (want syscall.Errno) {
	p.r.faulty.Inject()
	if !p.faults || p.IntN(2) == 0 {
		return 0
	}
	choices := []struct {
		fault backendtest.Fault
		want  syscall.Errno
	}{{backendtest.Fail(errOutage), syscall.EIO}, {backendtest.Fail(iofs.ErrPermission), syscall.EACCES}}
	switch op {
	case backendtest.OpCreate, backendtest.OpReplace:
		choices = append(choices, struct {
			fault backendtest.Fault
			want  syscall.Errno
		}{backendtest.LoseAnswer(errOutage), 0})
	case backendtest.OpRead:
		choices = append(choices, struct {
			fault backendtest.Fault
			want  syscall.Errno
		}{backendtest.FlipBit(0), syscall.EIO})
	}
	c := choices[p.IntN(len(choices))]
	p.r.faulty.Inject(backendtest.Each(op, c.fault))
	return c.want
}

// commit says what becomes of w at fsync or close.
func (p *player) commit(n int, w *modelWriter) syscall.Errno {
	if w.late {
		p.r.faulty.Inject()
		return syscall.EPERM
	}
	if w.failed != 0 || w.finished {
		p.r.faulty.Inject()
		return w.failed
	}
	op := backendtest.OpCreate
	if w.prior {
		op = backendtest.OpReplace
	}
	w.failed = p.disturb(op)
	if w.failed == 0 {
		w.finished = true
		p.m.committed[n] = append([]byte{}, w.content...)
	}
	return w.failed
}

func (p *player) sync(n int) {
	w := p.m.writers[n]
	if w == nil {
		return
	}
	want := p.commit(n, w)
	p.agree("fdatasync", n, syscall.Fdatasync(w.fd), want)
	w.told, w.synced = want != 0, w.synced || want == 0
	p.r.faulty.Inject()
}

// flush closes a duplicate.
func (p *player) flush(n int) {
	w := p.m.writers[n]
	if w == nil {
		return
	}
	second, err := syscall.Dup(w.fd)
	if err != nil {
		p.Fatal(err)
	}
	want := p.commit(n, w)
	if w.told {
		want = 0
	}
	p.agree("flush", n, syscall.Close(second), want)
	p.r.faulty.Inject()
}

func (p *player) close(n int) {
	w := p.m.writers[n]
	if w == nil {
		return
	}
	want := p.commit(n, w)
	if w.told {
		want = 0
	}
	p.agree("close", n, syscall.Close(w.fd), want)
	p.r.faulty.Inject()
	delete(p.m.writers, n)
}

func (p *player) stat(n int) {
	content, ok := p.m.committed[n]
	if p.m.pending(n) {
		content, ok = p.m.writers[n].content, true
	}
	want := syscall.ENOENT
	if ok {
		want = 0
	}
	info, err := os.Stat(p.r.path(n))
	p.agree("stat", n, err, want)
	if err == nil && info.Size() != int64(len(content)) {
		p.Errorf("stat of file %d: %d bytes, the model says %d", n, info.Size(), len(content))
	}
}

func (p *player) open(n int) {
	content, ok := p.m.committed[n]
	want := p.disturb(backendtest.OpRead)
	switch {
	case p.m.pending(n):
		want = syscall.EBUSY
	case !ok:
		p.r.faulty.Inject() // it would be met by the lookup
		want = syscall.ENOENT
	}
	f, err := os.Open(p.r.path(n))
	if p.keeps && ok && err == nil {
		want = 0 // no fetch, no fault
	}
	p.agree("open", n, err, want)
	p.r.faulty.Inject()
	if err == nil {
		p.m.readers = append(p.m.readers, &modelReader{f, content})
	}
}

func (p *player) read(int) {
	if len(p.m.readers) == 0 {
		return
	}
	rd := p.m.readers[p.IntN(len(p.m.readers))]
	off := p.IntN(len(rd.content) + 100)
	got := make([]byte, 1+p.IntN(20000))
	n, err := syscall.Pread(int(rd.file.Fd()), got, int64(off))
	want := rd.content[min(off, len(rd.content)):min(off+len(got), len(rd.content))]
	if err != nil || !bytes.Equal(got[:n], want) {
		p.Errorf("read gives %d bytes, %v; the model has %d", n, err, len(want))
	}
	if end, err := rd.file.Seek(0, 2); err != nil || end != int64(len(rd.content)) {
		p.Errorf("SEEK_END gives %d, %v; the model says %d", end, err, len(rd.content))
	}
}

func (p *player) closeReader(int) {
	if len(p.m.readers) == 0 {
		return
	}
	i := p.IntN(len(p.m.readers))
	if err := p.m.readers[i].file.Close(); err != nil {
		p.Error(err)
	}
	p.m.readers = slices.Delete(p.m.readers, i, i+1)
}

func (p *player) unlink(n int) {
	_, ok := p.m.committed[n]
	want := syscall.Errno(0)
	switch {
	case p.m.pending(n):
		w := p.m.writers[n]
		w.finished, w.unlinked = true, true
	case !ok:
		want = syscall.ENOENT
	case p.faults && p.IntN(2) == 0: // refused, for an outage is retried
		p.r.faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Fail(iofs.ErrPermission)))
		want = syscall.EACCES
	}
	p.agree("unlink", n, syscall.Unlink(p.r.path(n)), want)
	p.r.faulty.Inject()
	if want == 0 {
		delete(p.m.committed, n)
	}
}

func (p *player) forbidden(n int) {
	if _, ok := p.m.committed[n]; !ok {
		return
	}
	_, err := syscall.Open(p.r.path(n), syscall.O_WRONLY, 0)
	p.agree("open for writing", n, err, syscall.EPERM)
	p.agree("rename", n, syscall.Rename(p.r.path(n), p.r.path(modelFiles)), syscall.EPERM)
	p.agree("rename across", n, syscall.Rename(p.r.path(n), filepath.Join(p.r.dir, "x")), syscall.EXDEV)
	p.agree("truncate", n, syscall.Truncate(p.r.path(n), int64(len(p.m.committed[n])+1)), syscall.EPERM)
	p.agree("chmod", n, os.Chmod(p.r.path(n), 0o755), syscall.EPERM)
}

func (p *player) list(int) {
	got := map[string]int64{}
	err := filepath.WalkDir(p.r.dir, func(path string, d iofs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var info iofs.FileInfo
			if info, err = d.Info(); err == nil {
				got[path] = info.Size()
			}
		}
		return err
	})
	p.note("walk: %d files, %v", len(got), err)
	if err != nil || len(got) != len(p.m.committed) {
		p.Errorf("the walk found %d files, %v; the model has %d", len(got), err, len(p.m.committed))
	}
	for n, content := range p.m.committed {
		if p.m.pending(n) {
			content = p.m.writers[n].content
		}
		if size, ok := got[p.r.path(n)]; !ok || size != int64(len(content)) {
			p.Errorf("the walk found file %d: %v with %d bytes; the model has %d", n, ok, size, len(content))
		}
	}
}

// finish closes everything, and compares what is in the bucket.
func (p *player) finish() {
	for n := range p.m.writers {
		p.close(n)
	}
	for len(p.m.readers) > 0 {
		p.closeReader(0)
	}
	p.list(0)
	for n := range modelFiles {
		content, ok := p.m.committed[n]
		if p.r.inBucket(p.T, n) != ok {
			p.Errorf("file %d is in the bucket: %v, the model says %v", n, !ok, ok)
		}
		if ok {
			wantFile(p.T, p.r.path(n), content)
		}
	}
}
