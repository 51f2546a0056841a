package attachment

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/budget"
	"orthanc-bucketfs/fs/unsettled"
)

var errOutage = errors.New("store is out of reach")

func sealedRig(t *testing.T) *rig { return newRig(t, Sealed(testRing(t, 1))) }

func commit(r *rig, u UUID, content string) (Info, error) {
	w := r.Create(u)
	if err := w.WriteAt(context.Background(), []byte(content), 0); err != nil {
		return Info{}, err
	}
	return w.Commit(context.Background())
}

// The store took the object, but the answer was lost: whatever the error says,
// the commit has succeeded.
func TestLostAnswerIsSettled(t *testing.T) {
	for name, lost := range map[string]error{
		"outage": errOutage,
		"exists": fs.ErrExist, // a retry below met what the first attempt had stored
		"slow":   context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			r := sealedRig(t)
			r.faulty.Inject(backendtest.Nth(backendtest.OpCreate, 1, backendtest.LoseAnswer(lost)))
			info, err := commit(r, testUUID(1), "content")
			if err != nil {
				t.Fatal(err)
			}
			if stat, err := r.Stat(t.Context(), testUUID(1)); err != nil || stat != info {
				t.Errorf("stat %+v (%v), commit %+v", stat, err, info)
			}
			wantContent(t, r, testUUID(1), []byte("content"))
			if n := r.Counters.Settled.Load(); n != 1 {
				t.Errorf("%d settled, want 1", n)
			}
			r.done(t)
		})
	}
}

// The store refused or never saw the object: the commit fails, nothing is
// there, and the writer stays failed.
func TestFailedCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, cause := range []error{errOutage, fs.ErrPermission} {
			r := sealedRig(t)
			r.faulty.Inject(backendtest.Each(backendtest.OpCreate, backendtest.Fail(cause)))
			w := r.Create(testUUID(1))
			write(t, w, []byte("content"))
			for range 2 {
				_, err := w.Commit(t.Context())
				wantErr(t, err, cause)
				if errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the error passes for a missing object: %v", err)
				}
			}
			if n := r.faulty.Calls(backendtest.OpCreate); n != 1 {
				t.Errorf("%d uploads after a failed commit", n)
			}
			wantErr(t, w.WriteAt(t.Context(), []byte("x"), 0), cause)
			_, err := load(t, r, testUUID(1))
			wantErr(t, err, fs.ErrNotExist)
			time.Sleep(time.Hour)
			r.done(t)
			if n := r.Counters.OrphansLeft.Load() + r.Counters.OrphansGone.Load(); n != 0 {
				t.Errorf("%v: %d orphans counted where there was none", cause, n)
			}
		}
	})
}

// The object was stored, the answer lost, and the store went out of reach: the
// commit must fail, and its object must go as soon as the store is back.
func TestOrphanIsDeletedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		r.faulty.Inject(
			backendtest.Each(backendtest.OpCreate, backendtest.LoseAnswer(errOutage)),
			backendtest.Each(backendtest.OpRead, backendtest.Fail(errOutage)),
			backendtest.Each(backendtest.OpStat, backendtest.Fail(errOutage)))
		_, err := commit(r, testUUID(1), "content")
		wantErr(t, err, errOutage)
		time.Sleep(10 * time.Second)
		raw(t, r.mem, testUUID(1).Key()) // still there
		r.faulty.Reset()
		time.Sleep(time.Hour)
		if _, err := r.mem.Stat(t.Context(), testUUID(1).Key()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the orphan is still there: %v", err)
		}
		if n := r.Counters.OrphansGone.Load(); n != 1 {
			t.Errorf("%d orphans deleted, want 1", n)
		}
		r.done(t)
	})
}

// The upload is still under way somewhere when the commit has failed, and
// arrives minutes later.
func TestLateArrivalIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		late := &lateBucket{Bucket: r.mem}
		r.bucket = late
		_, err := commit(r, testUUID(1), "content")
		wantErr(t, err, errOutage)
		time.Sleep(time.Minute)
		late.arrive(t)
		raw(t, r.mem, testUUID(1).Key())
		time.Sleep(time.Hour)
		if _, err := r.mem.Stat(t.Context(), testUUID(1).Key()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the late object is still there: %v", err)
		}
		r.done(t)
	})
}

// lateBucket keeps uploads back, and reports an outage.
type lateBucket struct {
	backends.Bucket
	key  string
	body []byte
}

func (b *lateBucket) Create(_ context.Context, key string, body []byte) (backends.Object, error) {
	b.key, b.body = key, bytes.Clone(body)
	return backends.Object{}, errOutage
}

func (b *lateBucket) arrive(t *testing.T) {
	if _, err := b.Bucket.Create(t.Context(), b.key, b.body); err != nil {
		t.Fatal(err)
	}
}

// What cannot be settled in the end is counted, and logged with its key.
func TestOrphanThatStaysIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		r.faulty.Inject(
			backendtest.Each(backendtest.OpCreate, backendtest.LoseAnswer(errOutage)),
			backendtest.Each(backendtest.OpRead, backendtest.Fail(errOutage)),
			backendtest.Each(backendtest.OpStat, backendtest.Fail(errOutage)))
		_, err := commit(r, testUUID(1), "content")
		wantErr(t, err, errOutage)
		time.Sleep(time.Hour)
		if n := r.Counters.OrphansLeft.Load(); n != 1 {
			t.Errorf("%d orphans counted, want 1", n)
		}
		if log := r.logged(); strings.Count(log, " key="+testUUID(1).Key()) != 1 {
			t.Errorf("the log does not name the orphan once:\n%s", log)
		}
		r.done(t)
	})
}

// Somebody else's object under the same key is neither taken for ours nor
// deleted.
func TestOthersObjectIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		others := testContent(len("content")+crypto.Overhead, 1) // as long as ours
		if _, err := r.mem.Create(t.Context(), testUUID(1).Key(), others); err != nil {
			t.Fatal(err)
		}
		r.faulty.Inject(backendtest.Nth(backendtest.OpCreate, 1, backendtest.Fail(errOutage)))
		for range 2 {
			_, err := commit(r, testUUID(1), "content")
			wantErr(t, err, fs.ErrExist)
		}
		// The same when it cannot be looked at for a while.
		r.faulty.Inject(backendtest.Each(backendtest.OpRead, backendtest.Fail(errOutage)))
		_, err := commit(r, testUUID(1), "content")
		wantErr(t, err, errOutage)
		r.faulty.Inject()
		time.Sleep(time.Hour)
		if _, body := raw(t, r.mem, testUUID(1).Key()); !bytes.Equal(body, others) {
			t.Error("somebody else's object was changed")
		}
		r.done(t)
	})
}

// lostUpload makes the next commit of u fail: the store takes the object, and
// neither says so nor answers until Reset.
func lostUpload(t *testing.T, r *rig, u UUID, content string) {
	t.Helper()
	r.faulty.Inject(
		backendtest.Each(backendtest.OpCreate, backendtest.LoseAnswer(errOutage)),
		backendtest.Each(backendtest.OpRead, backendtest.Fail(errOutage)),
		backendtest.Each(backendtest.OpStat, backendtest.Fail(errOutage)))
	_, err := commit(r, u, content)
	wantErr(t, err, errOutage)
	r.faulty.Reset()
}

// The name of a refused store is gone, although its object is there.
func TestNameOfARefusedStoreIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		if _, err := r.Names(t.Context(), testUUID(1)[0], testUUID(1)[1]); err != nil { // a listing that is believed
			t.Fatal(err)
		}
		lostUpload(t, r, testUUID(1), "content")
		raw(t, r.mem, testUUID(1).Key())
		_, err := r.Stat(t.Context(), testUUID(1))
		wantErr(t, err, fs.ErrNotExist)
		for range 2 { // with a listing from before, and with one from now
			names, err := r.Names(t.Context(), testUUID(1)[0], testUUID(1)[1])
			if err != nil || len(names) > 0 {
				t.Errorf("listed: %v (%v)", names, err)
			}
			time.Sleep(DefaultTiming().Listing + time.Millisecond)
		}
		r.done(t)
	})
}

// Orthanc's next try of the same file finds what the first one has stored, and
// takes it: nothing is sent, and nothing deleted.
func TestRetryAdoptsTheSameContent(t *testing.T) {
	for name, codec := range map[string]Codec{"sealed": Sealed(testRing(t, 1)), "plain": Plain()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, codec)
				lostUpload(t, r, testUUID(1), "content")
				stored, _ := raw(t, r.mem, testUUID(1).Key())
				info, err := commit(r, testUUID(1), "content")
				if err != nil {
					t.Fatal(err)
				}
				if info.Version != stored.Version {
					t.Errorf("acknowledged version %s, the object has %s", info.Version, stored.Version)
				}
				if n := r.faulty.Calls(backendtest.OpCreate, backendtest.OpDelete, backendtest.OpReplace); n != 0 {
					t.Errorf("%d requests that change something", n)
				}
				time.Sleep(time.Hour)
				wantContent(t, r, testUUID(1), []byte("content"))
				r.done(t)
			})
		})
	}
}

// Another content under the same name is not taken for what was sent, and what
// was sent goes.
func TestRetryOfOtherContentAdoptsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		lostUpload(t, r, testUUID(1), "content")
		_, err := commit(r, testUUID(1), "CONTENT")
		wantErr(t, err, fs.ErrExist)
		time.Sleep(time.Hour)
		_, err = r.mem.Stat(t.Context(), testUUID(1).Key())
		wantErr(t, err, fs.ErrNotExist)
		r.done(t)
	})
}

// The first upload arrives after the next try has looked for it, and before that
// one's own upload.
func TestRetryMeetsALateArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		late := &lateBucket{Bucket: r.mem}
		r.bucket = late
		_, err := commit(r, testUUID(1), "content")
		wantErr(t, err, errOutage)
		r.bucket = r.faulty
		r.faulty.Inject(backendtest.Each(backendtest.OpCreate, func(ctx context.Context, c *backendtest.Request) error {
			late.arrive(t)
			return c.Do(ctx)
		}))
		if _, err := commit(r, testUUID(1), "content"); err != nil {
			t.Fatal(err)
		}
		r.faulty.Reset()
		time.Sleep(time.Hour)
		wantContent(t, r, testUUID(1), []byte("content"))
		r.done(t)
	})
}

// A request that was sent twice below arrives twice: deleted once, it is looked
// for further on.
func TestSecondArrivalIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		late := &lateBucket{Bucket: r.mem}
		r.bucket = late
		_, err := commit(r, testUUID(1), "content")
		wantErr(t, err, errOutage)
		for range 2 {
			late.arrive(t)
			time.Sleep(2 * time.Minute)
			_, err = r.mem.Stat(t.Context(), testUUID(1).Key())
			wantErr(t, err, fs.ErrNotExist)
		}
		if n := r.Counters.OrphansGone.Load(); n != 1 {
			t.Errorf("%d orphans counted, want 1", n)
		}
		r.done(t)
	})
}

// A next try that is refused does not make the first one forgotten.
func TestRefusedRetryForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		first := &lateBucket{Bucket: r.mem}
		r.bucket = first
		_, err := commit(r, testUUID(1), "content")
		wantErr(t, err, errOutage)
		r.bucket = &lateBucket{Bucket: r.mem}
		_, err = commit(r, testUUID(1), "content")
		wantErr(t, err, errOutage)
		first.arrive(t)
		time.Sleep(time.Hour)
		_, err = r.mem.Stat(t.Context(), testUUID(1).Key())
		wantErr(t, err, fs.ErrNotExist)
		r.done(t)
	})
}

// A delete whose answer did not come may still arrive, and would take what is
// stored under its name meanwhile: nothing is.
func TestNameOfAnUnansweredDeleteIsBurnt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		lostUpload(t, r, testUUID(1), "content")
		r.faulty.Inject(backendtest.Nth(backendtest.OpDelete, 1, backendtest.Fail(errOutage)))
		time.Sleep(DefaultTiming().Looks[0] + time.Millisecond)
		for range 3 {
			_, err := commit(r, testUUID(1), "content")
			wantErr(t, err, unsettled.ErrBurnt)
			time.Sleep(time.Minute)
		}
		time.Sleep(DefaultTiming().Late)
		if _, err := commit(r, testUUID(1), "content"); err != nil {
			t.Errorf("the name cannot be used again: %v", err)
		}
		r.done(t)
	})
}

// Orthanc's unlink is a delete like any other.
func TestNameOfAnUnansweredUnlinkIsBurnt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		store(t, r, testUUID(1), []byte("content"))
		r.faulty.Reset()
		r.faulty.Inject(backendtest.Nth(backendtest.OpDelete, 1, backendtest.Fail(errOutage)))
		if err := r.Delete(t.Context(), testUUID(1)); err != nil {
			t.Fatal(err)
		}
		_, err := commit(r, testUUID(1), "content")
		wantErr(t, err, unsettled.ErrBurnt)
		r.done(t)
	})
}

// With uploads that hang, the tries of one file end with the first one.
func TestTriesShareADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		hang := backendtest.Hold(backendtest.NewGate())
		r.faulty.Inject(backendtest.Each(backendtest.OpCreate, hang), backendtest.Each(backendtest.OpRead, hang))
		start := time.Now()
		for range 3 {
			_, err := commit(r, testUUID(1), "content")
			wantErr(t, err, context.DeadlineExceeded)
			time.Sleep(10 * time.Millisecond)
		}
		timing := DefaultTiming()
		if took, limit := time.Since(start), timing.Commit.For(100)+timing.Settle.For(100); took > limit+time.Second {
			t.Errorf("three tries took %v, want at most %v", took, limit)
		}
		r.faulty.Reset()
		time.Sleep(2 * unsettled.RepeatWindow)
		if _, err := commit(r, testUUID(1), "content"); err != nil {
			t.Errorf("a try that is not a repetition: %v", err)
		}
		r.done(t)
	})
}

// In a plain bucket the same file stored again has the same bytes as the
// orphan of the first attempt. Once it is acknowledged it must stay.
func TestSecondAttemptIsNotTakenForTheOrphan(t *testing.T) {
	for name, fault := range map[string]backendtest.Fault{
		"stored":     backendtest.LoseAnswer(errOutage),
		"not stored": backendtest.Fail(errOutage),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Plain())
				r.faulty.Inject(
					backendtest.Nth(backendtest.OpCreate, 1, fault),
					backendtest.Nth(backendtest.OpRead, 1, backendtest.Fail(errOutage)))
				_, err := commit(r, testUUID(1), "content")
				wantErr(t, err, errOutage)
				if _, err := commit(r, testUUID(1), "content"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				wantContent(t, r, testUUID(1), []byte("content"))
				r.done(t)
			})
		})
	}
}

// While the fate of the first attempt is open, a second one must not begin.
func TestSecondAttemptWaitsForSettlement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Plain())
		r.faulty.Inject(
			backendtest.Each(backendtest.OpCreate, backendtest.LoseAnswer(errOutage)),
			backendtest.Each(backendtest.OpRead, backendtest.Fail(errOutage)),
			backendtest.Each(backendtest.OpStat, backendtest.Fail(errOutage)))
		for range 2 {
			_, err := commit(r, testUUID(1), "content")
			wantErr(t, err, errOutage)
		}
		if n := r.faulty.Calls(backendtest.OpCreate); n != 1 {
			t.Errorf("%d uploads while the first was open", n)
		}
		r.faulty.Reset()
		time.Sleep(time.Hour)
		r.done(t)
	})
}

// The end of the caller's context must not end a commit or a delete.
func TestCommitAndDeleteOutliveTheirCaller(t *testing.T) {
	r := sealedRig(t)
	w := r.Create(testUUID(1))
	write(t, w, []byte("content"))
	if _, err := w.Commit(ended()); err != nil {
		t.Fatal(err)
	}
	wantContent(t, r, testUUID(1), []byte("content"))
	if err := r.Delete(ended(), testUUID(1)); err != nil {
		t.Fatal(err)
	}
	_, err := load(t, r, testUUID(1))
	wantErr(t, err, fs.ErrNotExist)
	r.done(t)
}

// A store that never answers holds a commit for its deadline and the one of
// the settlement, and no longer.
func TestCommitHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		hang := backendtest.Hold(backendtest.NewGate())
		r.faulty.Inject(
			backendtest.Each(backendtest.OpCreate, hang),
			backendtest.Each(backendtest.OpRead, hang),
			backendtest.Each(backendtest.OpStat, hang))
		start := time.Now()
		_, err := commit(r, testUUID(1), "content")
		wantErr(t, err, context.DeadlineExceeded)
		timing := DefaultTiming()
		if took, limit := time.Since(start), timing.Commit.For(100)+timing.Settle.For(100); took > limit+time.Second {
			t.Errorf("took %v, want at most %v", took, limit)
		}
		r.done(t)
	})
}

// Bytes that are being sent are bounded; the rest waits, first come first served,
// and what had to wait too long was never sent.
func TestUploadsAreAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Plain(), func(o *Options) { o.Budget = budget.New(4*maxSending, time.Hour) })
		gate := backendtest.NewGate()
		r.faulty.Inject(backendtest.Each(backendtest.OpCreate, backendtest.Hold(gate)))
		results := make(chan error, 3)
		for i, size := range []int64{maxSending / 2, maxSending / 2, 1000} { // the smallest has the least time
			go func() {
				w := r.Create(testUUID(i))
				if err := w.Truncate(context.Background(), size); err != nil {
					t.Error(err)
				}
				_, err := w.Commit(context.Background())
				results <- err
			}()
			synctest.Wait()
		}
		for i := range 2 {
			if c := <-gate.Arrived(); c.Key != testUUID(0).Key() && c.Key != testUUID(1).Key() {
				t.Errorf("upload %d is of %s", i, c.Key)
			}
		}
		synctest.Wait()
		if n := r.faulty.Calls(backendtest.OpCreate); n != 2 {
			t.Errorf("%d uploads at a time, want 2", n)
		}
		for range 3 {
			if err := <-results; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("an upload that hangs: %v", err)
			}
		}
		if r.unsettled.Hidden(testUUID(2).Key()) {
			t.Error("what was never sent is looked for")
		}
		gate.Open()
		r.done(t)
	})
}

func TestDeadlinesGrowWithSize(t *testing.T) {
	p := Patience{Base: time.Minute, BytesPerSecond: 1 << 20}
	if got := p.For(100 << 20); got != time.Minute+100*time.Second {
		t.Errorf("100 MiB at 1 MiB/s: %v", got)
	}
	if got := (Patience{Base: time.Second}).For(1 << 40); got != time.Second {
		t.Errorf("without a rate: %v", got)
	}
}

// Close waits for commits in flight.
func TestCloseWaitsForCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		gate := backendtest.NewGate()
		r.faulty.Inject(backendtest.Each(backendtest.OpCreate, backendtest.Hold(gate)))
		result := make(chan error, 1)
		go func() {
			_, err := commit(r, testUUID(1), "content")
			result <- err
		}()
		<-gate.Arrived()
		closed := make(chan struct{})
		go func() {
			r.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed during a commit")
		default:
		}
		gate.Open()
		<-closed
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

// A panic during the commit must not leave a writer that uploads its half
// sealed buffer.
func TestPanicInCommitSticks(t *testing.T) {
	r := sealedRig(t)
	r.faulty.Inject(backendtest.Nth(backendtest.OpCreate, 1, func(context.Context, *backendtest.Request) error { panic("boom") }))
	w := r.Create(testUUID(1))
	write(t, w, []byte("content"))
	func() {
		defer func() { recover() }()
		w.Commit(t.Context())
	}()
	_, err := w.Commit(t.Context())
	wantErr(t, err, ErrDiscarded)
	if n := r.faulty.Calls(backendtest.OpCreate); n != 1 {
		t.Errorf("%d uploads", n)
	}
	r.done(t)
}

func TestDelete(t *testing.T) {
	r := sealedRig(t)
	store(t, r, testUUID(1), []byte("content"))
	r.faulty.Reset()
	for range 2 { // what is not there is fine
		if err := r.Delete(t.Context(), testUUID(1)); err != nil {
			t.Error(err)
		}
	}
	if n := r.faulty.Calls(); n != 2 {
		t.Errorf("%d requests for two deletes", n)
	}
	r.done(t)
}

func TestDeleteIsRetriedWithinItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		store(t, r, testUUID(1), []byte("content"))
		r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
			if c.Op == backendtest.OpDelete && c.N <= 3 {
				return backendtest.Fail(errOutage)
			}
			return nil
		})
		if err := r.Delete(t.Context(), testUUID(1)); err != nil {
			t.Error(err)
		}
		r.faulty.Reset()
		r.faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Fail(errOutage)))
		start := time.Now()
		err := r.Delete(t.Context(), testUUID(2))
		wantErr(t, err, errOutage)
		if took := time.Since(start); took != DefaultTiming().Delete {
			t.Errorf("gave up after %v", took)
		}
		if n := r.faulty.Calls(backendtest.OpDelete); n < 5 || n > 20 {
			t.Errorf("%d tries", n)
		}
		if n := r.Counters.FailedDeletes.Load(); n != 1 {
			t.Errorf("%d failed deletes counted", n)
		}
		r.done(t)
	})
}

func TestRefusedDeleteIsNotRetried(t *testing.T) {
	r := sealedRig(t)
	r.faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Fail(fs.ErrPermission)))
	wantErr(t, r.Delete(t.Context(), testUUID(1)), fs.ErrPermission)
	if n := r.faulty.Calls(); n != 1 {
		t.Errorf("%d tries", n)
	}
	r.done(t)
}
