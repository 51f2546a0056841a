package attachment

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
)

// newSole returns a rig that is the only one to store into its bucket.
func newSole(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	change = append(change, func(o *Options) { o.SoleWriter = true })
	return newRig(t, Sealed(testRing(t, 1)), change...)
}

// wantLooks stats u, and wants so many requests, and an error.
func wantLooks(t *testing.T, r *rig, u UUID, want int, wantErr error) {
	t.Helper()
	before := r.faulty.Calls()
	_, err := r.Stat(t.Context(), u)
	if n := r.faulty.Calls() - before; n != want || !errors.Is(err, wantErr) {
		t.Errorf("%d requests, error %v; want %d, %v", n, err, want, wantErr)
	}
}

func TestNewNamesAreNotLookedFor(t *testing.T) {
	r := newSole(t)
	r.stored(t, testUUID(1), []byte("there before"))
	wantLooks(t, r, testUUID(2), 1, fs.ErrNotExist) // nothing is known yet
	r.LearnNames(t.Context())
	wantLooks(t, r, testUUID(2), 0, fs.ErrNotExist)
	wantLooks(t, r, testUUID(1), 1, nil)
	before := r.faulty.Calls()
	store(t, r, testUUID(2), []byte("new"))
	if n := r.faulty.Calls() - before; n != 1 {
		t.Errorf("%d requests for a store", n)
	}
	r.shelf.clear()
	wantRead(t, r, testUUID(2), []byte("new"))
	if err := r.Delete(t.Context(), testUUID(2)); err != nil {
		t.Fatal(err)
	}
	wantLooks(t, r, testUUID(2), 1, fs.ErrNotExist) // it might be anybody's memory of it
	r.done(t)
}

func TestWithoutSoleWriterEveryNameIsLookedFor(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	r.LearnNames(t.Context())
	wantLooks(t, r, testUUID(1), 1, fs.ErrNotExist)
	r.done(t)
}

// A name is known in whichever layout it is stored, and however many there are.
func TestAllNamesAreLearnt(t *testing.T) {
	r := newSole(t, func(o *Options) { o.Layout = Flat })
	const n = 3 * learnFew
	for i := range n {
		key := spread(i).Key()
		if i%2 == 0 {
			key = spread(i).String() + ".dcm.enc"
		}
		if _, err := r.mem.Create(t.Context(), key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	r.LearnNames(t.Context())
	for i := range n {
		if r.census.rulesOut(spread(i)) {
			t.Fatalf("%s is ruled out", spread(i))
		}
	}
	r.done(t)
}

// spread returns UUIDs all over the tree.
func spread(i int) UUID {
	u := testUUID(i)
	u[0], u[1] = byte(i*37), byte(i>>8)
	return u
}

// Nothing is ruled out before all is known, and what failed is tried again.
func TestLearningGoesOnAfterErrors(t *testing.T) {
	for _, many := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newSole(t)
			for i := range map[bool]int{false: 10, true: 2 * learnFew}[many] {
				if _, err := r.mem.Create(t.Context(), spread(i).Key(), []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			failing := ""
			if many {
				failing = "25"
			}
			r.faulty.Inject(backendtest.Rule(func(c backendtest.Call) backendtest.Fault {
				if c.Op == backendtest.OpList && c.Key == failing {
					return backendtest.Fail(errOutage)
				}
				return nil
			}))
			learnt := make(chan struct{})
			go func() {
				r.LearnNames(t.Context())
				close(learnt)
			}()
			synctest.Wait()
			if r.census.rulesOut(testUUID(1 << 20)) {
				t.Error("a name is ruled out although not all are known")
			}
			if !strings.Contains(r.logged(), "could not learn the names") {
				t.Errorf("logged: %s", r.logged())
			}
			r.faulty.Reset()
			<-learnt
			if lists := r.faulty.Calls(backendtest.OpList); lists != 1 {
				t.Errorf("%d listings for what had failed, want 1", lists)
			}
			for i := range map[bool]int{false: 10, true: 2 * learnFew}[many] {
				if r.census.rulesOut(spread(i)) {
					t.Fatalf("%s is ruled out", spread(i))
				}
			}
			r.done(t)
		})
	}
}

// What somebody else has stored is missing once, and never again.
func TestAnotherWriterIsFoundOut(t *testing.T) {
	for _, layout := range []Layout{Legacy, Flat} {
		synctest.Test(t, func(t *testing.T) {
			r := newSole(t, func(o *Options) { o.Layout = layout })
			r.LearnNames(t.Context())
			key := testUUID(1).Key()
			if layout == Flat {
				key = testUUID(1).String() + ".dcm.enc"
			}
			theirs := append(make([]byte, crypto.HeaderSize), "theirs"...)
			theirs = append(theirs, make([]byte, crypto.TagSize)...)
			if err := testRing(t, 1).Seal(testUUID(1), theirs); err != nil {
				t.Fatal(err)
			}
			if _, err := r.mem.Create(t.Context(), key, theirs); err != nil {
				t.Fatal(err)
			}
			wantLooks(t, r, testUUID(1), 0, fs.ErrNotExist)
			time.Sleep(doubtPause)
			synctest.Wait()
			if n := r.Counters.OtherWriters.Load(); n != 1 || !strings.Contains(r.logged(), "sole_writer is set") {
				t.Errorf("%d other writers, logged: %s", n, r.logged())
			}
			wantRead(t, r, testUUID(1), []byte("theirs"))
			r.LearnNames(t.Context()) // which may still have been under way
			wantLooks(t, r, testUUID(2), map[Layout]int{Legacy: 1, Flat: 2}[layout], fs.ErrNotExist)
			r.done(t)
		})
	}
}

// What this Store stores long after it has looked is no sign of another writer.
func TestOwnFilesRaiseNoDoubt(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newSole(t)
			r.LearnNames(t.Context())
			wantLooks(t, r, testUUID(1), 0, fs.ErrNotExist)
			w := r.Create(testUUID(1))
			if late {
				r.census.doubts[testUUID(1)] = time.NewTimer(time.Hour) // it had begun to ask
			}
			if err := w.WriteAt(t.Context(), []byte("ours"), 0); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if late {
				r.census.doubt(testUUID(1))
			}
			before := r.faulty.Calls()
			time.Sleep(doubtPause)
			synctest.Wait()
			if n := r.faulty.Calls() - before; n != 0 {
				t.Errorf("%d requests later", n)
			}
			if n := r.Counters.OtherWriters.Load(); n != 0 {
				t.Errorf("%d other writers", n)
			}
			wantLooks(t, r, testUUID(2), 0, fs.ErrNotExist)
			r.done(t)
		})
	}
}

// A name that could not be asked about is not ruled out again.
func TestDoubtThatCannotBeSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSole(t)
		r.LearnNames(t.Context())
		wantLooks(t, r, testUUID(1), 0, fs.ErrNotExist)
		r.faulty.Inject(func(backendtest.Call) backendtest.Fault { return backendtest.Fail(errOutage) })
		time.Sleep(doubtPause)
		synctest.Wait()
		r.faulty.Inject()
		wantLooks(t, r, testUUID(1), 1, fs.ErrNotExist)
		wantLooks(t, r, testUUID(2), 0, fs.ErrNotExist)
		r.done(t)
	})
}

// No name is forgotten when there are more than a filter has room for, and few
// free ones are taken for others.
func TestCensusGrows(t *testing.T) {
	r := newSole(t)
	r.census.next = 100
	r.census.completed()
	const n = 20_000
	for i := range n {
		r.census.note(spread(i))
	}
	mistaken := 0
	for i := range n {
		if r.census.rulesOut(spread(i)) {
			t.Fatalf("%s is ruled out", spread(i))
		}
		u := spread(n + i)
		if r.census.has(u) {
			mistaken++
		}
	}
	if mistaken > n/20 {
		t.Errorf("%d of %d free names are taken for others", mistaken, n)
	}
	r.done(t)
}

// Nobody is asked about more names than can be at one time.
func TestDoubtsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSole(t)
		r.LearnNames(t.Context())
		for i := range maxDoubts {
			if !r.census.rulesOut(testUUID(i)) {
				t.Fatal("not ruled out")
			}
		}
		wantLooks(t, r, testUUID(maxDoubts), 1, fs.ErrNotExist)
		r.done(t)
		if len(r.census.doubts) != 0 {
			t.Error("doubts are left after Close")
		}
	})
}

func BenchmarkCensus(b *testing.B) {
	c := newCensus(nil, nil, nil)
	defer c.close()
	for i := range 1_000_000 {
		c.note(spread(i))
	}
	c.completed()
	for b.Loop() {
		c.rulesOut(testUUID(1 << 23))
		c.note(testUUID(1 << 23))
	}
}
