package attachment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/fs/unsettled"
)

// deletes is a bucket that notes which versions were to be deleted.
type deletes struct {
	backends.Bucket
	mu       sync.Mutex // guards versions
	versions []string
}

func (d *deletes) Delete(ctx context.Context, key, version string) error {
	d.mu.Lock()
	d.versions = append(d.versions, version)
	d.mu.Unlock()
	return d.Bucket.Delete(ctx, key, version)
}

// A delete names the version that was looked at, or stored: should the request
// arrive late, it takes nothing that was stored meanwhile.
func TestDeleteNamesTheVersion(t *testing.T) {
	for name, remove := range map[string]func(*testing.T, *rig, Info) (Info, error){
		"stored here": func(t *testing.T, r *rig, info Info) (Info, error) { return info, r.Delete(t.Context(), info.UUID) },
		"looked at": func(t *testing.T, r *rig, info Info) (Info, error) {
			r.shelf.clear()
			seen, err := r.Stat(t.Context(), info.UUID)
			return seen, errors.Join(err, r.Delete(t.Context(), info.UUID))
		},
		"shown a while ago": func(t *testing.T, r *rig, info Info) (Info, error) {
			r.shelf.clear()
			return info, r.DeleteShown(t.Context(), info)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sent *deletes
			r := newRig(t, Sealed(testRing(t, 1)), lasting, func(o *Options) {
				sent = &deletes{Bucket: o.Bucket}
				o.Bucket = sent
			})
			info, err := commit(r, testUUID(1), "content")
			if err != nil {
				t.Fatal(err)
			}
			if info, err = remove(t, r, info); err != nil {
				t.Fatal(err)
			}
			if len(sent.versions) != 1 || sent.versions[0] != info.Version {
				t.Errorf("deleted were the versions %q, want %q", sent.versions, info.Version)
			}
			r.done(t)
		})
	}
}

// failDelete deletes u while nothing can be deleted.
func failDelete(t *testing.T, r *rig, u UUID, err error) {
	t.Helper()
	r.faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Fail(err)))
	if err := r.Delete(t.Context(), u); err == nil {
		t.Error("the delete succeeded")
	}
	r.faulty.Reset()
}

// What was to be deleted during an outage is deleted after it, and until then
// nothing is stored in its place.
func TestFailedDeleteIsMadeUpFor(t *testing.T) {
	for name, err := range map[string]error{"unanswered": errOutage, "not sent": backends.ErrNotSent} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := sealedRig(t)
				store(t, r, testUUID(1), []byte("content"))
				failDelete(t, r, testUUID(1), err)
				if n := r.Counters.Unsettled.Load(); n != 1 {
					t.Errorf("%d are unsettled", n)
				}
				_, err := commit(r, testUUID(1), "other")
				wantErr(t, err, unsettled.ErrBurnt)
				time.Sleep(DefaultTiming().Looks[0] + time.Millisecond)
				synctest.Wait()
				wantOutcome(t, r, 1, 0)
				if _, err := r.mem.Stat(t.Context(), testUUID(1).Key()); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("it is there after the outage: %v", err)
				}
				time.Sleep(DefaultTiming().Late)
				if _, err := commit(r, testUUID(1), "other"); err != nil {
					t.Errorf("the name cannot be used again: %v", err)
				}
				r.done(t)
			})
		})
	}
}

// wantOutcome proves how many objects were deleted in the end, or left and named.
func wantOutcome(t *testing.T, r *rig, gone, left int64) {
	t.Helper()
	if g, l := r.Counters.OrphansGone.Load(), r.Counters.OrphansLeft.Load(); g != gone || l != left {
		t.Errorf("%d deleted, %d left, want %d and %d:\n%s", g, l, gone, left, r.logged())
	}
	named := strings.Count(r.logged(), "may be left in the bucket; delete it by hand if Orthanc does not know it\" key="+testUUID(1).Key())
	if int64(named) != left {
		t.Errorf("named %d times, want %d:\n%s", named, left, r.logged())
	}
}

// What is not deleted in the end is named, once.
func TestDeleteThatIsGivenUpIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		store(t, r, testUUID(1), []byte("content"))
		r.faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Fail(errOutage)))
		if err := r.Delete(t.Context(), testUUID(1)); !errors.Is(err, errOutage) {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		wantOutcome(t, r, 0, 1)
		r.faulty.Reset()
		r.done(t)
	})
}

// Nobody deletes later what it is not certain was meant: another version than the
// one that was, or any if nobody knows which one was. The latter is named.
func TestOnlyWhatWasMeantIsDeletedLater(t *testing.T) {
	for name, c := range map[string]struct {
		known   bool
		replace bool
		left    int64
	}{
		"another version":         {known: true, replace: true},
		"unknown version":         {left: 1},
		"unknown, and gone since": {replace: true, left: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Sealed(testRing(t, 1)), lasting)
				info := store(t, r, testUUID(1), []byte("content"))
				if !c.known {
					r.shelf.clear()
				}
				failDelete(t, r, testUUID(1), errOutage)
				version := info.Version
				if c.replace {
					obj, err := r.mem.Replace(t.Context(), testUUID(1).Key(), version, []byte("another machine's"))
					if err != nil {
						t.Fatal(err)
					}
					version = obj.Version
				}
				time.Sleep(time.Hour)
				wantOutcome(t, r, 0, c.left)
				if obj, err := r.mem.Stat(t.Context(), testUUID(1).Key()); err != nil || obj.Version != version {
					t.Errorf("there is version %q, %v", obj.Version, err)
				}
				r.done(t)
			})
		})
	}
}

// With other places where the attachment may be, a delete that is made up for in
// one of them alone would show what is in another.
func TestFailedDeleteInSeveralPlacesIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)), flatLayout)
		store(t, r, testUUID(1), []byte("old"))
		r.move(t, testUUID(1), testUUID(1).String()+".dcm.enc")
		store(t, r, testUUID(1), []byte("new"))
		failDelete(t, r, testUUID(1), errOutage)
		time.Sleep(time.Hour)
		wantOutcome(t, r, 0, 1)
		wantContent(t, r, testUUID(1), []byte("new"))
		r.done(t)
	})
}

// Somebody else, such as rekey, may have put another version there: that is the one
// which is to go.
func TestFailedDeleteOfAnotherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)), lasting)
		info := store(t, r, testUUID(1), []byte("content"))
		if _, err := r.mem.Replace(t.Context(), testUUID(1).Key(), info.Version, []byte("sealed again")); err != nil {
			t.Fatal(err)
		}
		r.faulty.Reset()
		r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
			if c.Op == backendtest.OpDelete && c.N > 1 {
				return backendtest.Fail(errOutage)
			}
			return nil
		})
		wantErr(t, r.Delete(t.Context(), testUUID(1)), errOutage)
		r.faulty.Reset()
		time.Sleep(time.Hour)
		wantOutcome(t, r, 1, 0)
		r.done(t)
	})
}

// While somebody writes a file of the name, nothing under it is deleted.
func TestFailedDeleteDuringAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		store(t, r, testUUID(1), []byte("content"))
		w := r.Create(testUUID(1))
		failDelete(t, r, testUUID(1), errOutage)
		time.Sleep(time.Hour)
		if n := r.faulty.Calls(backendtest.OpDelete); n != 0 {
			t.Errorf("%d deletes during the write", n)
		}
		wantOutcome(t, r, 0, 1)
		w.Discard()
		r.done(t)
	})
}

// twiceBucket repeats every upload, and keeps the copy back.
type twiceBucket struct{ lateBucket }

func (b *twiceBucket) Create(ctx context.Context, key string, body []byte) (backends.Object, error) {
	_, _ = b.lateBucket.Create(ctx, key, body)
	backends.Repeat(ctx)
	return b.Bucket.Create(ctx, key, body)
}

// A copy of what was stored and is deleted late is deleted as well, when it arrives.
func TestCopyAfterAFailedDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		late := &twiceBucket{lateBucket{Bucket: r.faulty}}
		r.bucket = late
		store(t, r, testUUID(1), []byte("content"))
		failDelete(t, r, testUUID(1), backends.ErrNotSent)
		time.Sleep(DefaultTiming().Looks[0] + time.Millisecond)
		wantOutcome(t, r, 1, 0)
		late.arrive(t)
		time.Sleep(time.Hour)
		wantOutcome(t, r, 2, 0)
		r.done(t)
	})
}

// A delete that was not asked for, and may have been meant, deletes nothing; what is
// there in the end is named, once.
func TestDoubtedDeleteIsNamed(t *testing.T) {
	for _, there := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := sealedRig(t)
			if there {
				store(t, r, testUUID(1), []byte("content"))
			}
			r.DoubtDeleted(testUUID(1))
			time.Sleep(time.Hour)
			if there {
				wantOutcome(t, r, 0, 1)
				wantContent(t, r, testUUID(1), []byte("content"))
			} else {
				wantOutcome(t, r, 0, 0)
			}
			r.done(t)
		})
	}
}

// What the store refuses to delete is not tried again.
func TestRefusedDeleteIsNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		store(t, r, testUUID(1), []byte("content"))
		failDelete(t, r, testUUID(1), fs.ErrPermission)
		time.Sleep(time.Hour)
		if n := r.faulty.Calls(); n != 0 {
			t.Errorf("%d requests after the refusal", n)
		}
		wantContent(t, r, testUUID(1), []byte("content"))
		r.done(t)
	})
}

// A store that was under way when the delete began, and is acknowledged after it,
// is not what was to be deleted.
func TestStoredDuringTheFailedDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := sealedRig(t)
		gate := backendtest.NewGate()
		r.faulty.Inject(
			backendtest.Each(backendtest.OpCreate, backendtest.Hold(gate)),
			backendtest.Each(backendtest.OpDelete, backendtest.Fail(errOutage)))
		stored := make(chan error)
		go func() {
			_, err := commit(r, testUUID(1), "content")
			stored <- err
		}()
		<-gate.Arrived()
		if err := r.Delete(t.Context(), testUUID(1)); !errors.Is(err, errOutage) {
			t.Error(err)
		}
		r.faulty.Inject()
		gate.Open()
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		wantOutcome(t, r, 0, 0)
		wantContent(t, r, testUUID(1), []byte("content"))
		r.done(t)
	})
}

// A daemon that stops while a delete is not answered leaves it to the next one,
// or without a journal says so.
func TestDeleteIsLeftToTheNextProcess(t *testing.T) {
	for _, journal := range []bool{true, false} {
		t.Run(fmt.Sprint("journal ", journal), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "j")
				r, end := journaledRig(t, path, journal, nil)
				store(t, r, testUUID(1), []byte("content"))
				r.Told(testUUID(1))
				failDelete(t, r, testUUID(1), errOutage)
				end()
				if !journal {
					wantOutcome(t, r, 0, 1)
					return
				}
				wantOutcome(t, r, 0, 0)
				next, end := journaledRig(t, path, true, r.mem)
				time.Sleep(time.Hour)
				wantOutcome(t, next, 1, 0)
				end()
			})
		})
	}
}

// Told is what a Writer says of u.
func (r *rig) Told(u UUID) { r.unsettled.Told(u.Key()) }

// journaledRig is a rig with a journal at path, on what is in mem if that is not
// nil. It returns what ends it.
func journaledRig(t *testing.T, path string, journal bool, mem backends.Bucket) (*rig, func()) {
	t.Helper()
	var j *unsettled.Journal
	if journal {
		var err error
		if j, _, err = unsettled.OpenJournal(path); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, Sealed(testRing(t, 1)), lasting, func(o *Options) {
		o.Journal = j
		if mem != nil {
			o.Bucket = mem
		}
	})
	return r, func() {
		r.done(t)
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Deletes of several files are under way at the same time.
func TestDeletesAtOnce(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	const files = 8
	for n := range files {
		store(t, r, testUUID(n), []byte("content"))
	}
	gate := backendtest.NewGate()
	r.faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Hold(gate)))
	var deleting sync.WaitGroup
	for n := range files {
		deleting.Go(func() {
			if err := r.Delete(t.Context(), testUUID(n)); err != nil {
				t.Error(err)
			}
		})
	}
	for range files {
		<-gate.Arrived()
	}
	gate.Open()
	deleting.Wait()
	r.done(t)
}
