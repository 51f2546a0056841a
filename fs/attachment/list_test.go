package attachment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func uuidIn(t testing.TB, aa, bb byte, n int) UUID {
	t.Helper()
	u, ok := ParseUUID(fmt.Sprintf("%02x%02x0000-1111-4222-8333-%012x", aa, bb, n))
	if !ok {
		t.Fatal("bad uuid")
	}
	return u
}

func (r *rig) names(t testing.TB, aa, bb byte) []UUID {
	t.Helper()
	names, err := r.Names(t.Context(), aa, bb)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestWalkCostsOneRequestADirectory(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	var all []UUID
	for i := range 300 {
		u := uuidIn(t, byte(0x10+i%3), byte(i%100), i)
		store(t, r, u, testContent(i, 1))
		all = append(all, u)
	}
	for _, stray := range []string{"probe", "10/stray", "10/20/stray", "zz/aa/x", "10/20/30/" + all[0].String()} {
		if _, err := r.mem.Create(t.Context(), stray, nil); err != nil {
			t.Fatal(err)
		}
	}
	r.faulty.Reset()
	dirs, err := r.Dirs(t.Context())
	if err != nil || !slices.Equal(dirs, []byte{0x10, 0x11, 0x12}) {
		t.Fatalf("directories %x, %v", dirs, err)
	}
	found := 0
	for _, aa := range dirs {
		subs, err := r.SubDirs(t.Context(), aa)
		if err != nil {
			t.Fatal(err)
		}
		for _, bb := range subs {
			for _, u := range r.names(t, aa, bb) {
				info, err := r.Stat(t.Context(), u)
				if err != nil || info.Size != int64(slices.Index(all, u)) {
					t.Errorf("stat of %s: %+v, %v", u, info, err)
				}
				found++
			}
		}
	}
	if n := r.faulty.Calls(); found != len(all) || n != 1+3 {
		t.Errorf("found %d of %d with %d requests, want 4", found, len(all), n)
	}
	if names := r.names(t, 0x10, 0xff); len(names) != 0 {
		t.Errorf("an empty directory holds %v", names)
	}
	r.done(t)
}

func TestListingFollowsWhatThisStoreDoes(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	a, b, c := uuidIn(t, 1, 2, 1), uuidIn(t, 1, 2, 2), uuidIn(t, 1, 2, 3)
	store(t, r, b, []byte("b"))
	r.names(t, 1, 2)
	store(t, r, c, []byte("c"))
	store(t, r, a, []byte("a"))
	if got := r.names(t, 1, 2); !slices.Equal(got, []UUID{a, b, c}) {
		t.Errorf("listed %v after two creates", got)
	}
	if err := r.Delete(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := r.names(t, 1, 2); !slices.Equal(got, []UUID{a, c}) {
		t.Errorf("listed %v after a delete", got)
	}
	if _, err := r.Stat(t.Context(), b); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of a deleted attachment: %v", err)
	}
	r.done(t)
}

// What happens while a listing is being fetched is in it.
func TestListingFollowsChangesWhileLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)))
		a, b := uuidIn(t, 1, 2, 1), uuidIn(t, 1, 2, 2)
		store(t, r, a, []byte("a"))
		gate := backendtest.NewGate()
		r.faulty.Inject(backendtest.Each(backendtest.OpList, backendtest.HoldAnswer(gate)))
		listed := make(chan []UUID)
		go func() { listed <- r.names(t, 1, 2) }()
		<-gate.Arrived()
		store(t, r, b, []byte("b"))
		if err := r.Delete(t.Context(), a); err != nil {
			t.Error(err)
		}
		gate.Open()
		if got := <-listed; !slices.Equal(got, []UUID{b}) {
			t.Errorf("listed %v", got)
		}
		r.done(t)
	})
}

// A listing is believed for a few seconds only, and absence from it never:
// another machine may have stored the attachment.
func TestListingExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Plain())
		u, other := uuidIn(t, 1, 2, 1), uuidIn(t, 1, 2, 2)
		store(t, r, u, []byte("u"))
		r.names(t, 1, 2)
		if _, err := r.mem.Create(t.Context(), other.Key(), []byte("other")); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Stat(t.Context(), other); err != nil {
			t.Errorf("an attachment that is not in the listing: %v", err)
		}
		if err := r.mem.Delete(t.Context(), u.Key(), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(max(DefaultTiming().Listing, DefaultTiming().Recent) + time.Millisecond)
		_, err := r.Stat(t.Context(), u)
		wantErr(t, err, fs.ErrNotExist)
		if got := r.names(t, 1, 2); !slices.Equal(got, []UUID{other}) {
			t.Errorf("listed %v", got)
		}
		r.done(t)
	})
}

func TestConcurrentListingsShareOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)))
		store(t, r, uuidIn(t, 1, 2, 1), nil)
		gate := backendtest.NewGate()
		r.faulty.Inject(backendtest.Each(backendtest.OpList, backendtest.Hold(gate)))
		var done sync.WaitGroup
		for bb := range 16 {
			done.Go(func() { r.names(t, 1, byte(bb)) })
		}
		<-gate.Arrived()
		synctest.Wait()
		gate.Open()
		done.Wait()
		if n := r.faulty.Calls(backendtest.OpList); n != 1 {
			t.Errorf("%d listings, want 1", n)
		}
		r.done(t)
	})
}

// The one who fetches for all gives up: another takes over.
func TestListingSurvivesItsLoader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)))
		u := uuidIn(t, 1, 2, 1)
		store(t, r, u, nil)
		gate := backendtest.NewGate()
		r.faulty.Inject(backendtest.Nth(backendtest.OpList, 1, backendtest.Hold(gate)))
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() {
			_, err := r.Names(ctx, 1, 2)
			result <- err
		}()
		<-gate.Arrived()
		listed := make(chan []UUID)
		go func() { listed <- r.names(t, 1, 2) }()
		synctest.Wait()
		cancel()
		wantErr(t, <-result, context.Canceled)
		if got := <-listed; !slices.Equal(got, []UUID{u}) {
			t.Errorf("listed %v", got)
		}
		r.done(t)
	})
}

func TestFailedListingIsNotKept(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	u := uuidIn(t, 1, 2, 1)
	store(t, r, u, nil)
	faults := []backendtest.Fault{
		backendtest.Fail(errOutage),
		func(context.Context, *backendtest.Request) error { panic("boom") },
	}
	for i, fault := range faults {
		r.faulty.Inject(backendtest.Nth(backendtest.OpList, i+1, fault))
		func() {
			defer func() { recover() }()
			_, err := r.Names(t.Context(), 1, 2)
			wantErr(t, err, errOutage)
		}()
	}
	r.faulty.Reset()
	if got := r.names(t, 1, 2); !slices.Equal(got, []UUID{u}) {
		t.Errorf("listed %v", got)
	}
	r.done(t)
}

func TestListingsAreFew(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	for aa := range 3 * maxListings {
		r.names(t, byte(aa), 0)
	}
	if n := len(r.listings.byDir); n > maxListings {
		t.Errorf("%d listings in memory", n)
	}
	r.done(t)
}

func TestPagedListing(t *testing.T) {
	r := newRig(t, Plain())
	r.bucket = pageOf{r.bucket, 7}
	for i := range 100 {
		store(t, r, uuidIn(t, byte(i%20), 2, i), nil)
	}
	dirs, err := r.Dirs(t.Context())
	if err != nil || len(dirs) != 20 {
		t.Errorf("%d directories, %v", len(dirs), err)
	}
	for _, aa := range dirs {
		if n := len(r.names(t, aa, 2)); n != 5 {
			t.Errorf("%d names in %02x", n, aa)
		}
	}
	r.done(t)
}

// pageOf is a bucket with small pages.
type pageOf struct {
	backends.Bucket
	limit int
}

func (p pageOf) List(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
	opts.Limit = p.limit
	return p.Bucket.List(ctx, opts)
}
