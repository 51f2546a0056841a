package attachment

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/fs/budget"
)

// lasting makes a moment as long as the test takes, on any machine.
func lasting(o *Options) { o.Timing.Moment, o.Timing.Recent = time.Hour, time.Hour }

// stored makes u an attachment that this store knows nothing of.
func (r *rig) stored(t testing.TB, u UUID, content []byte) {
	t.Helper()
	store(t, r, u, content)
	r.shelf.clear()
	r.faulty.Reset()
}

// read looks at u, opens it, and returns all of it.
func (r *rig) read(t testing.TB, u UUID) ([]byte, error) {
	info, err := r.Stat(t.Context(), u)
	if err != nil {
		return nil, err
	}
	f, err := r.Open(t.Context(), info)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := make([]byte, info.Size)
	return p[:f.ReadAt(p, 0)], nil
}

// header reads the beginning of u, as Orthanc does.
func (r *rig) header(t testing.TB, u UUID) {
	t.Helper()
	info, err := r.Stat(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Open(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.ReadAt(make([]byte, 8191), 0)
}

func wantRead(t testing.TB, r *rig, u UUID, want []byte) {
	t.Helper()
	if got, err := r.read(t, u); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func wantCalls(t testing.TB, what string, r *rig, want int, ops ...backendtest.Op) {
	t.Helper()
	if n := r.faulty.Calls(ops...); n != want {
		t.Errorf("%s took %d requests %v, want %d", what, n, ops, want)
	}
}

func TestFirstReadTakesOneRequest(t *testing.T) {
	for size, want := range map[int]int{0: 1, 10: 1, 512 << 10: 1, peekSize - 86: 1, peekSize: 2, 3 << 20: 2} {
		for name, codec := range map[string]Codec{"sealed": Sealed(testRing(t, 1)), "plain": Plain()} {
			want := want
			if name == "plain" && size == peekSize {
				want = 1 // there is no envelope around it
			}
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				r := newRig(t, codec, lasting)
				content := testContent(size, 1)
				r.stored(t, testUUID(1), content)
				wantRead(t, r, testUUID(1), content)
				wantCalls(t, "the first read", r, want, backendtest.OpRead)
				wantCalls(t, "the first read", r, want)
				// The header, and then the body.
				wantRead(t, r, testUUID(1), content)
				wantCalls(t, "the second read", r, want)
				r.done(t)
			})
		}
	}
}

func TestLookAtNothingTakesOneRequest(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	_, err := r.Stat(t.Context(), testUUID(1))
	wantErr(t, err, fs.ErrNotExist)
	wantCalls(t, "a look at nothing", r, 1)
	r.done(t)
}

// What cannot be read is described all the same, as an object in an archive is.
func TestLookAtWhatCannotBeRead(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	r.stored(t, testUUID(1), []byte("content"))
	r.faulty.Inject(backendtest.Each(backendtest.OpRead, backendtest.Fail(errOutage)))
	info, err := r.Stat(t.Context(), testUUID(1))
	if err != nil || info.Size != 7 {
		t.Fatalf("stat: %+v, %v", info, err)
	}
	_, err = r.Open(t.Context(), info)
	wantErr(t, err, errOutage)
	r.done(t)
}

// Contents are served for a moment after they were seen in the bucket, and then
// give their memory back.
func TestContentsAreKeptForAMoment(t *testing.T) {
	moment := DefaultTiming().Moment
	for _, opened := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Sealed(testRing(t, 1)))
			r.stored(t, testUUID(1), []byte("content"))
			info, err := r.Stat(t.Context(), testUUID(1))
			if err != nil {
				t.Fatal(err)
			}
			if opened {
				wantRead(t, r, testUUID(1), []byte("content"))
			}
			if err := r.mem.Delete(t.Context(), testUUID(1).Key(), ""); err != nil { // by another machine
				t.Fatal(err)
			}
			time.Sleep(moment - time.Second)
			f, err := r.Open(t.Context(), info)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			_, err = r.Open(t.Context(), info)
			wantErr(t, err, fs.ErrNotExist)
			got := make([]byte, 7)
			if f.ReadAt(got, 0); string(got) != "content" {
				t.Errorf("the open file holds %q", got)
			}
			f.Close()
			time.Sleep(time.Second) // as long as memory.Pool keeps what nobody uses
			synctest.Wait()
			if u := r.budget.Usage(); u.Used != 0 || u.Lent != 0 {
				t.Errorf("%+v after the moment", u)
			}
			r.done(t)
		})
	}
}

// Another version than the one that was looked at is never served.
func TestContentsAreOfOneVersion(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), lasting)
	r.stored(t, testUUID(1), []byte("old"))
	old, err := r.Stat(t.Context(), testUUID(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), testUUID(1)); err != nil {
		t.Fatal(err)
	}
	store(t, r, testUUID(1), []byte("new"))
	wantRead(t, r, testUUID(1), []byte("new"))
	_, err = r.Open(t.Context(), old)
	wantErr(t, err, backends.ErrChanged)
	wantRead(t, r, testUUID(1), []byte("new"))
	r.done(t)
}

// What this store deletes is gone at once, also for a look and an open that are
// under way.
func TestDeletedMeanwhileIsNotKept(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, *rig, Info) error{
		"look": func(t *testing.T, r *rig, _ Info) error { _, err := r.Stat(t.Context(), testUUID(1)); return err },
		"open": func(t *testing.T, r *rig, info Info) error {
			f, err := r.Open(t.Context(), info)
			if err == nil {
				f.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Sealed(testRing(t, 1)), lasting)
			r.stored(t, testUUID(1), []byte("content"))
			info, err := r.Stat(t.Context(), testUUID(1))
			if err != nil {
				t.Fatal(err)
			}
			r.shelf.clear()
			gate := backendtest.NewGate()
			r.faulty.Inject(backendtest.Each(backendtest.OpRead, backendtest.HoldAnswer(gate)))
			done := make(chan error)
			go func() { done <- begin(t, r, info) }()
			<-gate.Arrived()
			if err := r.Delete(t.Context(), testUUID(1)); err != nil {
				t.Fatal(err)
			}
			gate.Open()
			<-done
			r.faulty.Reset()
			if _, err := r.read(t, testUUID(1)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after the delete: %v", err)
			}
			_, err = r.Open(t.Context(), info)
			wantErr(t, err, fs.ErrNotExist)
			r.done(t)
		})
	}
}

// Whoever needs the memory gets it, without waiting.
func TestContentsAreGivenUpFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 8 << 20
		r := newRig(t, Sealed(testRing(t, 1)), func(o *Options) { o.Budget = budget.New(limit, time.Minute) })
		for n := range 3 {
			r.stored(t, testUUID(n), testContent(2<<20, uint64(n)))
		}
		for n := range 3 {
			r.header(t, testUUID(n))
		}
		if u := r.budget.Usage(); u.Used != 0 || u.Lent < 4<<20 {
			t.Errorf("%+v: want two files lent, at least", u)
		}
		begin := time.Now()
		content := testContent(limit-100, 9)
		store(t, r, testUUID(9), content)
		wantRead(t, r, testUUID(9), content)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("waited %v", waited)
		}
		r.done(t)
	})
}

// Of what has been read to its end, the last few are kept; and all of which only
// the header has been read.
func TestWhatIsReadToItsEndIsSoonGivenUp(t *testing.T) {
	const size = 300 << 10
	r := newRig(t, Sealed(testRing(t, 1)), lasting, func(o *Options) { o.Budget = budget.New(3*size*spentShare, time.Minute) })
	for n := range 10 {
		store(t, r, testUUID(n), testContent(size, uint64(n)))
	}
	r.shelf.clear()
	for n := range 5 {
		r.header(t, testUUID(n))
	}
	for n := range 5 {
		wantRead(t, r, testUUID(5+n), testContent(size, uint64(5+n)))
	}
	wantRead(t, r, testUUID(7), testContent(size, 7)) // so that it is not the oldest any more
	wantRead(t, r, testUUID(5), testContent(size, 5))
	fromMemory := func(n int) bool {
		r.faulty.Reset()
		wantRead(t, r, testUUID(n), testContent(size, uint64(n)))
		return r.faulty.Calls() == 0
	}
	for _, n := range []int{0, 5, 7} { // reading 0 to its end takes the place of 9
		if !fromMemory(n) {
			t.Errorf("%d is not kept", n)
		}
	}
	for _, n := range []int{6, 8} {
		if fromMemory(n) {
			t.Errorf("%d is kept", n)
		}
	}
	if n := int64(r.shelf.spent.Len()) * size; n != 3*size || r.shelf.spentBytes != n {
		t.Errorf("%d bytes are kept, and %d counted", n, r.shelf.spentBytes)
	}
	large := testContent(peekSize+1, 1) // which takes more than a request to get again
	for n := 20; n < 24; n++ {
		r.stored(t, testUUID(n), large)
	}
	for range 2 {
		r.faulty.Reset()
		for n := 20; n < 24; n++ {
			wantRead(t, r, testUUID(n), large)
		}
	}
	wantCalls(t, "reading large files again", r, 0)
	r.done(t)
}

// Nobody fetches what is only looked at, for long.
func TestLooksWithoutOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)))
		for n := range 40 {
			store(t, r, testUUID(n), []byte("content"))
		}
		r.shelf.clear()
		r.faulty.Reset()
		for n := range 40 {
			if _, err := r.Stat(t.Context(), testUUID(n)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(DefaultTiming().Moment)
			synctest.Wait()
		}
		if n := r.faulty.Calls(backendtest.OpRead); n != maxScore+(40-maxScore)/trialStep {
			t.Errorf("%d of 40 were fetched", n)
		}
		wantCalls(t, "40 looks", r, 40)
		// One that is opened after a trial brings the fetching back.
		for n := range trialStep + 1 {
			r.stored(t, testUUID(100+n), []byte("content"))
			wantRead(t, r, testUUID(100+n), []byte("content"))
		}
		r.stored(t, testUUID(50), []byte("content"))
		wantRead(t, r, testUUID(50), []byte("content"))
		wantCalls(t, "a read", r, 1)
		r.done(t)
	})
}

// Orthanc looks at a file before it deletes it. After the first of them nobody
// fetches what is looked at, until something is opened.
func TestDeletesFetchNothing(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), lasting)
	for n := range 301 {
		store(t, r, testUUID(n), testContent(1000, 1))
	}
	r.shelf.clear()
	r.faulty.Reset()
	for n := range 300 {
		if _, err := r.Stat(t.Context(), testUUID(n)); err != nil {
			t.Fatal(err)
		}
		if err := r.Delete(t.Context(), testUUID(n)); err != nil {
			t.Fatal(err)
		}
	}
	wantCalls(t, "300 looks and deletes", r, 600)
	wantCalls(t, "300 looks and deletes", r, 300, backendtest.OpDelete)
	wantCalls(t, "300 looks and deletes", r, 1, backendtest.OpRead)
	wantRead(t, r, testUUID(300), testContent(1000, 1))
	r.stored(t, testUUID(1), testContent(1000, 1))
	wantRead(t, r, testUUID(1), testContent(1000, 1))
	wantCalls(t, "a read after an open", r, 1)
	r.done(t)
}

// A listing answers looks, and nothing is fetched.
func TestListedIsNotFetched(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), lasting, func(o *Options) { o.Timing.Listing = time.Hour })
	r.stored(t, testUUID(1), []byte("content"))
	r.names(t, testUUID(1)[0], testUUID(1)[1])
	if _, err := r.Stat(t.Context(), testUUID(1)); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, "listing and look", r, 1)
	wantRead(t, r, testUUID(1), []byte("content"))
	wantCalls(t, "listing, look and read", r, 2)
	wantRead(t, r, testUUID(1), []byte("content"))
	wantCalls(t, "and another read", r, 2)
	r.done(t)
}

// What is damaged is not kept: the next open finds it mended.
func TestDamagedIsNotKept(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	r.stored(t, testUUID(1), []byte("content"))
	r.faulty.Inject(backendtest.Nth(backendtest.OpRead, 1, backendtest.FlipBit(75)))
	if _, err := r.read(t, testUUID(1)); err == nil {
		t.Error("a damaged object was opened")
	}
	wantRead(t, r, testUUID(1), []byte("content"))
	r.done(t)
}

// Many at once, on few attachments and little memory: what is read is always
// what was stored, nothing deleted here is seen again, and all memory comes back.
func TestShelfUnderLoad(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), func(o *Options) { o.Budget = budget.New(6<<20, time.Minute) })
	var done sync.WaitGroup
	for n := range 6 {
		var mu sync.RWMutex // writers of one attachment exclude its readers
		content := testContent(1000+n*100_000, uint64(n))
		store(t, r, testUUID(n), content)
		for reader := range 4 {
			rnd := rand.New(rand.NewPCG(uint64(n), uint64(reader)))
			done.Go(func() {
				for range 60 {
					if reader > 0 || rnd.IntN(4) > 0 {
						mu.RLock()
						wantRead(t, r, testUUID(n), content)
						mu.RUnlock()
						continue
					}
					mu.Lock()
					if err := r.Delete(t.Context(), testUUID(n)); err != nil {
						t.Error(err)
					}
					if _, err := r.read(t, testUUID(n)); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("read after the delete: %v", err)
					}
					store(t, r, testUUID(n), content)
					mu.Unlock()
				}
			})
		}
	}
	done.Wait()
	r.done(t)
}

// So is what was looked at while the delete was under way.
func TestLookedAtDuringTheDeleteIsNotKept(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	r.stored(t, testUUID(1), []byte("content"))
	gate := backendtest.NewGate()
	r.faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Hold(gate)))
	deleted := make(chan error)
	go func() { deleted <- r.Delete(t.Context(), testUUID(1)) }()
	<-gate.Arrived()
	wantRead(t, r, testUUID(1), []byte("content"))
	gate.Open()
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	if _, err := r.read(t, testUUID(1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the delete: %v", err)
	}
	r.done(t)
}
