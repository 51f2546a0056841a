package attachment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/budget"
)

const testLimit = 64 << 20

// rig is a Store on an in-memory bucket with faults.
type rig struct {
	*Store
	mem    backends.Bucket
	faulty *backendtest.Faulty
	budget *budget.Budget
	log    *bytes.Buffer
	logMu  *sync.Mutex
}

type lockedWriter struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func testRing(t testing.TB, id uint32) *crypto.KeyRing {
	t.Helper()
	key, err := crypto.NewMasterKey(id, bytes.Repeat([]byte{byte(id)}, 32))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.NewKeyRing(key)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func newRig(t testing.TB, codec Codec, change ...func(*Options)) *rig {
	t.Helper()
	mem := backendtest.NewMem()
	r := &rig{mem: mem, faulty: backendtest.NewFaulty(mem), log: new(bytes.Buffer), logMu: new(sync.Mutex)}
	o := Options{
		Bucket: r.faulty,
		Codec:  codec,
		Budget: budget.New(testLimit, time.Minute),
		Log:    slog.New(slog.NewTextHandler(lockedWriter{r.logMu, r.log}, nil)),
		Timing: DefaultTiming(),
	}
	for _, c := range change {
		c(&o)
	}
	r.budget = o.Budget
	r.Store = NewStore(o)
	return r
}

// done closes the store and proves that it has given all memory back.
func (r *rig) done(t testing.TB) {
	t.Helper()
	r.Close()
	if u := r.budget.Usage(); u.Used != 0 || u.Lent != 0 || u.Waiting != 0 {
		t.Errorf("%d bytes in use, %d waiting at the end", u.Used, u.Waiting)
	}
}

func (r *rig) logged() string {
	r.logMu.Lock()
	defer r.logMu.Unlock()
	return r.log.String()
}

func testUUID(n int) UUID {
	u, ok := ParseUUID(fmt.Sprintf("ab%06x-1111-4222-8333-%012x", n%(1<<24), n))
	if !ok {
		panic("bad test uuid")
	}
	return u
}

func testContent(n int, seed uint64) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1}).Read(p)
	return p
}

func write(t testing.TB, w *Writer, content []byte) {
	t.Helper()
	for off := 0; off < len(content); off += 4096 {
		piece := content[off:min(off+4096, len(content))]
		if err := w.WriteAt(t.Context(), piece, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
}

func store(t testing.TB, r *rig, u UUID, content []byte) Info {
	t.Helper()
	w := r.Create(u)
	write(t, w, content)
	info, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func load(t testing.TB, r *rig, u UUID) ([]byte, error) {
	t.Helper()
	info, err := r.Stat(t.Context(), u)
	if err != nil {
		return nil, err
	}
	f, err := r.Open(t.Context(), info)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := make([]byte, info.Size+1)
	return p[:f.ReadAt(p, 0)], nil
}

func wantContent(t testing.TB, r *rig, u UUID, want []byte) {
	t.Helper()
	got, err := load(t, r, u)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("loaded %d bytes, error %v; want the %d bytes that were stored", len(got), err, len(want))
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func codecs(t *testing.T) map[string]Codec {
	return map[string]Codec{"sealed": Sealed(testRing(t, 1)), "plain": Plain()}
}

func TestRoundTrip(t *testing.T) {
	for name, codec := range codecs(t) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, codec)
			for i, n := range []int{0, 1, 15, 16, 17, 85, 86, 87, 4095, 4096, 4097, 70000, 1 << 20, 20<<20 + 5} {
				content := testContent(n, uint64(i))
				info := store(t, r, testUUID(i), content)
				stat, err := r.Stat(t.Context(), testUUID(i))
				if err != nil || stat != info || stat.Size != int64(n) {
					t.Errorf("%d bytes: stat %+v (%v), commit %+v", n, stat, err, info)
				}
				wantContent(t, r, testUUID(i), content)
			}
			r.done(t)
		})
	}
}

// What was accepted can be read back, at the limit to the byte; one byte more
// is refused, when writing and when reading what another machine has stored.
func TestLimit(t *testing.T) {
	const limit = 1 << 20
	small := func(o *Options) { o.Budget = budget.New(limit, time.Second) }
	r := newRig(t, Sealed(testRing(t, 1)), small)
	content := testContent(limit, 1)
	store(t, r, testUUID(1), content)
	wantContent(t, r, testUUID(1), content)

	w := r.Create(testUUID(2))
	write(t, w, content)
	wantErr(t, w.WriteAt(t.Context(), []byte{1}, limit), budget.ErrTooLarge)
	_, err := w.Commit(t.Context())
	wantErr(t, err, budget.ErrTooLarge)
	if n := r.faulty.Calls(backendtest.OpCreate); n != 1 {
		t.Errorf("%d uploads, want only the one of the first file", n)
	}

	large := newRig(t, Sealed(testRing(t, 1)))
	store(t, large, testUUID(3), testContent(limit+1, 3))
	obj, body := raw(t, large.mem, testUUID(3).Key())
	if _, err := r.mem.Create(t.Context(), obj.Key, body); err != nil {
		t.Fatal(err)
	}
	_, err = load(t, r, testUUID(3))
	wantErr(t, err, budget.ErrTooLarge)
	r.done(t)
	large.done(t)
}

// raw returns an object as it is in the bucket.
func raw(t testing.TB, b backends.Bucket, key string) (backends.Object, []byte) {
	t.Helper()
	obj, err := b.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, obj.Size)
	if _, _, err := b.Read(t.Context(), key, "", body, 0); err != nil {
		t.Fatal(err)
	}
	return obj, body
}

func TestOnlyEnvelopesReachTheBucket(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 7)))
	store(t, r, testUUID(1), []byte(strings.Repeat("PatientName=DOE^JANE ", 1000)))
	_, body := raw(t, r.mem, testUUID(1).Key())
	if bytes.Contains(body, []byte("DOE^JANE")) || !bytes.HasPrefix(body, []byte{'A', '1', 7, 0, 0, 0}) {
		t.Error("the object is not an envelope under key 7")
	}
	r.done(t)
}

func TestCommitUploadsOnce(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	w := r.Create(testUUID(1))
	write(t, w, testContent(5000, 1))
	var done sync.WaitGroup
	infos := make([]Info, 8)
	for i := range infos {
		done.Go(func() {
			var err error
			if infos[i], err = w.Commit(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	for _, info := range infos {
		if info != infos[0] || info.Size != 5000 {
			t.Errorf("commits report %+v and %+v", info, infos[0])
		}
	}
	if n := r.faulty.Calls(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	r.done(t)
}

func TestWriteAfterCommitIsRefused(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	w := r.Create(testUUID(1))
	write(t, w, []byte("first"))
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantErr(t, w.WriteAt(t.Context(), []byte("second"), 5), ErrCommitted)
	wantErr(t, w.Truncate(t.Context(), 2), ErrCommitted)
	wantContent(t, r, testUUID(1), []byte("first"))
	r.done(t)
}

func TestSparseAndTruncated(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	w := r.Create(testUUID(1))
	model := make([]byte, 10005)
	copy(model[10000:], "hello")
	if err := w.WriteAt(t.Context(), []byte("hello"), 10000); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{10002, 20000, 3, 9} {
		if err := w.Truncate(t.Context(), int64(n)); err != nil {
			t.Fatal(err)
		}
		next := make([]byte, n)
		copy(next, model)
		model = next
		if w.Size() != int64(n) {
			t.Errorf("size %d, want %d", w.Size(), n)
		}
	}
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantContent(t, r, testUUID(1), model)
	r.done(t)
}

func TestDiscardAndDelete(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	w := r.Create(testUUID(1))
	write(t, w, []byte("x"))
	w.Discard()
	_, err := w.Commit(t.Context())
	wantErr(t, err, ErrDiscarded)

	w = r.Create(testUUID(1))
	write(t, w, []byte("x"))
	if w.Delete() {
		t.Error("an uncommitted writer says it was committed")
	}
	wantErr(t, w.WriteAt(t.Context(), []byte("y"), 0), ErrDeleted)
	if _, err := w.Commit(t.Context()); err != nil {
		t.Errorf("commit after delete: %v", err)
	}
	if n := r.faulty.Calls(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}

	w = r.Create(testUUID(2))
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !w.Delete() {
		t.Error("a committed writer says it was not committed")
	}
	r.done(t)
}

func TestCreateNeverOverwrites(t *testing.T) {
	for name, codec := range codecs(t) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, codec)
			store(t, r, testUUID(1), []byte("first"))
			w := r.Create(testUUID(1))
			write(t, w, []byte("second"))
			_, err := w.Commit(t.Context())
			wantErr(t, err, fs.ErrExist)
			wantContent(t, r, testUUID(1), []byte("first"))
			r.done(t)
		})
	}
}

// Many writers and readers at once, on a budget far smaller than what they
// need together, while the bound is watched.
func TestManyWritersAndReaders(t *testing.T) {
	const files, limit = 64, 4 << 20
	r := newRig(t, Sealed(testRing(t, 1)), func(o *Options) { o.Budget = budget.New(limit, time.Minute) })
	contents := make([][]byte, files)
	var done sync.WaitGroup
	for i := range files {
		contents[i] = testContent(1+(i*7919)%(1<<20), uint64(i))
		done.Go(func() {
			store(t, r, testUUID(i), contents[i])
			if used := r.budget.Usage().Used; used > 2*limit {
				t.Errorf("%d bytes in use", used)
			}
		})
	}
	done.Wait()
	for i := range files {
		for range 2 {
			done.Go(func() { wantContent(t, r, testUUID(i), contents[i]) })
		}
	}
	done.Wait()
	r.done(t)
}

// ignoresContext is a context that ends, for commits that must not care.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Orthanc writes in pieces of 4,096 bytes: a large file makes 25,600 calls.
func TestWritesDoNotAllocate(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	w := r.Create(testUUID(1))
	piece := make([]byte, 4096)
	off := int64(0)
	allocs := testing.AllocsPerRun(10_000, func() {
		if err := w.WriteAt(t.Context(), piece, off); err != nil {
			t.Fatal(err)
		}
		off += int64(len(piece))
	})
	if allocs != 0 { // rounded down: the steps of growth are few
		t.Errorf("%v allocations per write", allocs)
	}
	w.Discard()
	r.done(t)
}
