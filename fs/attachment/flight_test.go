package attachment

import (
	"bytes"
	"context"
	"errors"
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

// opened is what came of an open: the content, or an error.
type opened struct {
	content []byte
	err     error
}

// opening opens what want describes, reads it and closes it, in the background.
func (r *rig) opening(ctx context.Context, want Info, results chan<- opened) {
	go func() {
		f, err := r.Open(ctx, want)
		if err != nil {
			results <- opened{err: err}
			return
		}
		p := make([]byte, want.Size+1)
		n := f.ReadAt(p, 0)
		f.Close()
		results <- opened{content: p[:n]}
	}()
}

func wantOpened(t *testing.T, results <-chan opened, n int, want []byte) {
	t.Helper()
	for range n {
		if got := <-results; got.err != nil || !bytes.Equal(got.content, want) {
			t.Errorf("opened %d bytes, %v; want the %d that were stored", len(got.content), got.err, len(want))
		}
	}
}

// bytesRead counts what is asked of a bucket.
func (r *rig) bytesRead(rules ...backendtest.Rule) *int {
	n := new(int)
	r.faulty.Inject(append([]backendtest.Rule{func(c backendtest.Call) backendtest.Fault {
		if c.Op == backendtest.OpRead {
			*n += c.Len
		}
		return nil
	}}, rules...)...)
	return n
}

const manyReaders = 20

// However many open a file, it is fetched once, and is in memory once.
func TestReadersOfOneFileShareOneFetch(t *testing.T) {
	for name, codec := range codecs(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size, limit = 2*rangeSize + 1000, 3 * rangeSize
				r := newRig(t, codec, func(o *Options) { o.Budget = budget.New(limit, time.Minute) })
				content := testContent(size, 1)
				info := store(t, r, testUUID(1), content)
				r.shelf.clear()
				r.faulty.Reset()
				gate := backendtest.NewGate()
				fetched := r.bytesRead(backendtest.Each(backendtest.OpRead, backendtest.Hold(gate)))
				results := make(chan opened, manyReaders)
				listed := info
				listed.Version = "" // as a listing knows it
				for n := range manyReaders {
					r.opening(t.Context(), []Info{info, listed}[n%2], results)
					if n == 0 {
						<-gate.Arrived()
						time.Sleep(time.Second)
					}
				}
				synctest.Wait()
				gate.Open()
				wantOpened(t, results, manyReaders, content)
				head, tail := codec.Frame()
				if *fetched != head+size+tail {
					t.Errorf("%d bytes were fetched, want %d", *fetched, head+size+tail)
				}
				wantCalls(t, "the opens", r, (head+size+tail+rangeSize-1)/rangeSize)
				if open := r.Counters.Open.Load(); open != 0 {
					t.Errorf("%d files are open", open)
				}
				r.done(t)
			})
		})
	}
}

// The kernel looks as often as there are readers: one look brings the first bytes.
func TestLooksAtOneFileBringItsBeginningOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)))
		content := testContent(4<<20, 1)
		r.stored(t, testUUID(1), content)
		gate := backendtest.NewGate()
		fetched := r.bytesRead(backendtest.Each(backendtest.OpRead, backendtest.Hold(gate)))
		var readers sync.WaitGroup
		for range manyReaders {
			readers.Go(func() { wantRead(t, r, testUUID(1), content) })
		}
		synctest.Wait()
		gate.Open()
		readers.Wait()
		if most := peekSize + len(content) + 86; *fetched > most {
			t.Errorf("%d bytes were fetched, want %d at most", *fetched, most)
		}
		r.done(t)
	})
}

// Two that began apart, because one of them does not know the version, and wait
// for memory one after the other.
func TestWhoWaitsForMemoryIsServedByAnotherFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, limit = 4 << 20, 5 << 20
		r := newRig(t, Sealed(testRing(t, 1)), func(o *Options) { o.Budget = budget.New(limit, time.Minute) })
		content := testContent(size, 1)
		info := store(t, r, testUUID(1), content)
		r.shelf.clear()
		r.faulty.Reset()
		gate := backendtest.NewGate()
		fetched := r.bytesRead(backendtest.Each(backendtest.OpRead, backendtest.Hold(gate)))
		results := make(chan opened, 2)
		listed := info
		listed.Version = ""
		r.opening(t.Context(), listed, results)
		<-gate.Arrived()
		r.opening(t.Context(), info, results)
		synctest.Wait()
		if n := r.budget.Usage().Waiting; n != 1 {
			t.Errorf("%d wait for memory, want the second", n)
		}
		gate.Open()
		wantOpened(t, results, 2, content)
		wantCalls(t, "two opens", r, 1)
		if *fetched != size+86 {
			t.Errorf("%d bytes were fetched", *fetched)
		}
		r.done(t)
	})
}

func TestFailedFetchReachesAllReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)))
		info := store(t, r, testUUID(1), testContent(1000, 1))
		r.faulty.Reset()
		gate := backendtest.NewGate()
		r.faulty.Inject(backendtest.Each(backendtest.OpRead, func(ctx context.Context, req *backendtest.Request) error {
			if err := backendtest.Hold(gate)(ctx, req); err != nil {
				return err
			}
			return errOutage
		}))
		results := make(chan opened, manyReaders)
		for range manyReaders {
			r.opening(t.Context(), info, results)
		}
		synctest.Wait()
		gate.Open()
		shared := 0
		for range manyReaders {
			err := (<-results).err
			wantErr(t, err, errOutage)
			if IsShared(err) {
				shared++
			}
		}
		if shared != manyReaders-1 {
			t.Errorf("%d of %d were told that another has the same failure", shared, manyReaders)
		}
		wantCalls(t, "the opens", r, 1)
		r.faulty.Reset()
		wantContent(t, r, testUUID(1), testContent(1000, 1))
		r.done(t)
	})
}

// A fetch goes on when the one who began it gives up, and ends when nobody waits.
func TestFetchOutlivesItsFirstReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)))
		content := testContent(1000, 1)
		info := store(t, r, testUUID(1), content)
		r.faulty.Reset()
		gate := backendtest.NewGate()
		r.faulty.Inject(backendtest.Each(backendtest.OpRead, backendtest.Hold(gate)))
		start := func(n int) (results chan opened, cancel []context.CancelFunc) {
			results = make(chan opened, n)
			for range n {
				ctx, c := context.WithCancel(t.Context())
				cancel = append(cancel, c)
				r.opening(ctx, info, results)
				synctest.Wait()
			}
			return results, cancel
		}
		results, cancel := start(3)
		for _, c := range cancel {
			c()
			wantErr(t, (<-results).err, context.Canceled)
		}
		synctest.Wait()
		if u := r.budget.Usage(); u.Used != 0 {
			t.Errorf("%+v, and nobody waits", u)
		}
		results, cancel = start(3)
		wantCalls(t, "the two fetches", r, 2)
		cancel[0]()
		wantErr(t, (<-results).err, context.Canceled)
		gate.Open()
		wantOpened(t, results, 2, content)
		wantCalls(t, "the opens", r, 2)
		cancel[1]()
		cancel[2]()
		r.done(t)
	})
}

// One who gives up when the fetch has just ended leaves nothing in use.
func TestGivingUpWhenTheFetchHasEnded(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	info := store(t, r, testUUID(1), testContent(1000, 1))
	_, fl, _ := r.shelf.board(info)
	r.launch(fl)
	<-fl.done
	r.shelf.disembark(fl)
	if u := r.budget.Usage(); u.Used != 0 || u.Lent == 0 {
		t.Errorf("%+v, want what was fetched to be lent", u)
	}
	r.done(t)
}

// What is deleted here while it is fetched is not there for those who come later.
func TestDeletedDuringTheFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)))
		content := testContent(1000, 1)
		info := store(t, r, testUUID(1), content)
		gate := backendtest.NewGate()
		r.faulty.Inject(backendtest.Each(backendtest.OpRead, backendtest.HoldAnswer(gate)))
		results := make(chan opened, manyReaders)
		for range manyReaders {
			r.opening(t.Context(), info, results)
		}
		synctest.Wait()
		if err := r.Delete(t.Context(), testUUID(1)); err != nil {
			t.Fatal(err)
		}
		r.faulty.Inject()
		_, err := r.Open(t.Context(), info)
		wantErr(t, err, fs.ErrNotExist)
		gate.Open()
		wantOpened(t, results, manyReaders, content)
		_, err = r.Open(t.Context(), info)
		wantErr(t, err, fs.ErrNotExist)
		r.done(t)
	})
}

// Where another version comes in the middle of a fetch, all who wait for the old
// one hear that it has changed; those who know the new one get it.
func TestReplacedDuringTheFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Plain()) // no tag would notice
		const size = 4 * rangeSize
		u, next := testUUID(1), testContent(size, 2)
		info := store(t, r, u, testContent(size, 1))
		r.shelf.clear()
		gate := backendtest.NewGate()
		r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
			if c.Op != backendtest.OpRead || c.Off == 0 {
				return nil
			}
			return backendtest.Hold(gate)
		})
		results := make(chan opened, manyReaders)
		for range manyReaders {
			r.opening(t.Context(), info, results)
		}
		synctest.Wait()
		obj, err := r.mem.Replace(t.Context(), u.Key(), info.Version, next)
		if err != nil {
			t.Fatal(err)
		}
		r.faulty.Inject()
		now := info
		now.Version, now.Modified = obj.Version, obj.Modified
		later := make(chan opened, 1)
		r.opening(t.Context(), now, later)
		wantOpened(t, later, 1, next)
		gate.Open()
		for range manyReaders {
			wantErr(t, (<-results).err, backends.ErrChanged)
		}
		wantContent(t, r, u, next)
		r.done(t)
	})
}

// What is open is not fetched again, however long it has been open: the bucket is
// asked whether it is still there.
func TestOpenIsSharedForAsLongAsItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, limit = 4 << 20, 5 << 20
		r := newRig(t, Sealed(testRing(t, 1)), func(o *Options) { o.Budget = budget.New(limit, time.Minute) })
		content := testContent(size, 1)
		info := store(t, r, testUUID(1), content)
		f, err := r.Open(t.Context(), info)
		if err != nil {
			t.Fatal(err)
		}
		r.faulty.Reset()
		for n := 1; n <= 3; n++ {
			time.Sleep(time.Minute)
			results := make(chan opened, 1)
			r.opening(t.Context(), info, results)
			wantOpened(t, results, 1, content)
			wantCalls(t, "opening what is open", r, n)
			wantCalls(t, "opening what is open", r, n, backendtest.OpStat)
		}
		// One who has just looked needs no other look, and the look brings nothing.
		time.Sleep(time.Minute)
		r.faulty.Reset()
		wantRead(t, r, testUUID(1), content)
		wantCalls(t, "a read of what is open", r, 1, backendtest.OpStat)
		wantCalls(t, "a read of what is open", r, 1)
		time.Sleep(time.Minute)
		r.faulty.Inject(backendtest.Each(backendtest.OpStat, backendtest.Fail(errOutage)))
		_, err = r.Open(t.Context(), info)
		wantErr(t, err, errOutage)
		f.Close()
		r.faulty.Reset()
		wantContent(t, r, testUUID(1), content)
		r.done(t)
	})
}

// What is open, and is another version in the bucket by now, is not served.
func TestOpenButReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Plain())
		info := store(t, r, testUUID(1), testContent(1000, 1))
		f, err := r.Open(t.Context(), info)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.mem.Replace(t.Context(), testUUID(1).Key(), info.Version, testContent(1000, 2)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		_, err = r.Open(t.Context(), info)
		wantErr(t, err, backends.ErrChanged)
		wantContent(t, r, testUUID(1), testContent(1000, 2))
		f.Close()
		r.done(t)
	})
}

// A large file over a slow line takes longer than a moment: its header and its
// body are one fetch nevertheless.
func TestSlowFetchIsKeptForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)))
		content := testContent(3<<20, 1)
		r.stored(t, testUUID(1), content)
		r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
			if c.Op != backendtest.OpRead || c.Off == 0 {
				return nil
			}
			return func(ctx context.Context, req *backendtest.Request) error {
				time.Sleep(4 * DefaultTiming().Moment)
				return req.Do(ctx)
			}
		})
		r.header(t, testUUID(1))
		wantCalls(t, "the header", r, 2, backendtest.OpRead)
		wantRead(t, r, testUUID(1), content)
		wantCalls(t, "header and body", r, 2, backendtest.OpRead)
		r.done(t)
	})
}

// Many who open, give up, delete and store, on few files and little memory: what
// is read is what was stored, and all memory comes back.
func TestFlightsUnderLoad(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), func(o *Options) { o.Budget = budget.New(5<<20, time.Minute) })
	var done sync.WaitGroup
	for n := range 4 {
		content := testContent(1000+n*600_000, uint64(n))
		store(t, r, testUUID(n), content)
		for reader := range 6 {
			rnd := rand.New(rand.NewPCG(uint64(n), uint64(reader)))
			done.Go(func() {
				for range 25 {
					r.randomReader(t, rnd, testUUID(n), content)
				}
			})
		}
	}
	done.Wait()
	for n := range 4 {
		wantContent(t, r, testUUID(n), testContent(1000+n*600_000, uint64(n)))
	}
	r.done(t)
}

func (r *rig) randomReader(t *testing.T, rnd *rand.Rand, u UUID, content []byte) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	switch rnd.IntN(8) {
	case 0:
		time.AfterFunc(time.Duration(rnd.IntN(int(2*time.Millisecond))), cancel)
	case 1:
		r.shelf.forget(u) // as a delete does
	}
	info, err := r.Stat(t.Context(), u)
	if err != nil {
		t.Error(err)
		return
	}
	results := make(chan opened, 1)
	r.opening(ctx, info, results)
	if got := <-results; got.err != nil && !errors.Is(got.err, context.Canceled) || got.err == nil && !bytes.Equal(got.content, content) {
		t.Errorf("%d bytes, %v", len(got.content), got.err)
	}
}

// Uploads that hang keep what they have; what is stored is read nevertheless, at
// once.
func TestReadsDoNotWaitForUploadsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 32 << 20
		r := newRig(t, Sealed(testRing(t, 1)), func(o *Options) { o.Budget = budget.New(limit, time.Minute) })
		sizes := []int{3000, 512 << 10, 3 << 20, limit/4 - 8192}
		for n, size := range sizes {
			store(t, r, testUUID(n), testContent(size, uint64(n)))
		}
		r.shelf.clear()
		gate := backendtest.NewGate()
		r.faulty.Inject(backendtest.Each(backendtest.OpCreate, backendtest.Hold(gate)))
		var writers sync.WaitGroup
		for n := range 12 {
			writers.Go(func() {
				w := r.Create(testUUID(100 + n))
				for off := int64(0); off < 6<<20; off += 1 << 16 {
					if w.WriteAt(t.Context(), make([]byte, 1<<16), off) != nil {
						return // it has waited for a minute
					}
				}
				w.Commit(t.Context())
			})
		}
		synctest.Wait()
		begin := time.Now()
		for n, size := range sizes {
			wantRead(t, r, testUUID(n), testContent(size, uint64(n)))
			if waited := time.Since(begin); waited != 0 {
				t.Errorf("%d bytes: waited %v", size, waited)
			}
		}
		if used := r.budget.Usage().Used; used > 2*limit || used < limit/2 {
			t.Errorf("%d bytes in use", used)
		}
		gate.Open()
		writers.Wait()
		r.done(t)
	})
}
