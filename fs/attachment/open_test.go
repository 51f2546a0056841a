package attachment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/budget"
)

// Whatever is wrong with an object, Open says so, gives no content, and gives
// the memory back.
func TestOpenReportsEveryFailure(t *testing.T) {
	u := testUUID(1)
	content := testContent(10000, 1)
	read := func(f backendtest.Fault) backendtest.Rule { return backendtest.Each(backendtest.OpRead, f) }
	tests := map[string]struct {
		rule backendtest.Rule
		want error
	}{
		"outage":    {read(backendtest.Fail(errOutage)), errOutage},
		"refused":   {read(backendtest.Fail(fs.ErrPermission)), fs.ErrPermission},
		"deleted":   {read(backendtest.Fail(fs.ErrNotExist)), fs.ErrNotExist},
		"changed":   {read(backendtest.Fail(backends.ErrChanged)), backends.ErrChanged},
		"cut short": {read(backendtest.CutShort(5000)), io.ErrUnexpectedEOF},
		"magic":     {read(backendtest.FlipBit(0)), crypto.ErrCorrupt},
		"key id":    {read(backendtest.FlipBit(2)), crypto.ErrUnknownKey},
		"nonce":     {read(backendtest.FlipBit(10)), crypto.ErrCorrupt},
		"content":   {read(backendtest.FlipBit(5000)), crypto.ErrCorrupt},
		"tag":       {read(backendtest.FlipBit(10085)), crypto.ErrCorrupt},
		"cancelled": {read(backendtest.Cancel(true)), context.Canceled},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Sealed(testRing(t, 1)))
			info := store(t, r, u, content)
			r.faulty.Inject(test.rule)
			f, err := r.Open(t.Context(), info)
			wantErr(t, err, test.want)
			if f != nil {
				t.Error("a file came with the error")
			}
			r.done(t)
		})
	}
}

func TestOpenPinsTheVersionOfStat(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	u := testUUID(1)
	old := store(t, r, u, testContent(1000, 1))
	if err := r.Delete(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	store(t, r, u, testContent(1000, 2)) // same size, another version
	_, err := r.Open(t.Context(), old)
	wantErr(t, err, backends.ErrChanged)
	// A listing knows no version, but the size.
	old.Version, old.Size = "", 999
	_, err = r.Open(t.Context(), old)
	wantErr(t, err, backends.ErrChanged)
	old.Size = 1001
	_, err = r.Open(t.Context(), old)
	wantErr(t, err, backends.ErrChanged)
	wantContent(t, r, u, testContent(1000, 2))
	r.done(t)
}

func TestUnknownKeyNamesIt(t *testing.T) {
	writer := newRig(t, Sealed(testRing(t, 9)))
	store(t, writer, testUUID(1), []byte("content"))
	obj, body := raw(t, writer.mem, testUUID(1).Key())
	r := newRig(t, Sealed(testRing(t, 1)))
	if _, err := r.mem.Create(t.Context(), obj.Key, body); err != nil {
		t.Fatal(err)
	}
	_, err := load(t, r, testUUID(1))
	wantErr(t, err, crypto.ErrUnknownKey)
	var e *Error
	if !errors.As(err, &e) || e.KeyID != "9" || e.Version == "" || e.Key != obj.Key {
		t.Errorf("the error knows %+v", e)
	}
	r.done(t)
	writer.done(t)
}

func TestTooShortForAnEnvelope(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	for n := range crypto.Overhead {
		if _, err := r.mem.Create(t.Context(), testUUID(n).Key(), make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		_, err := r.Stat(t.Context(), testUUID(n))
		wantErr(t, err, crypto.ErrCorrupt)
	}
	r.done(t)
}

// Readers reserve before they fetch, and wait for their turn.
func TestOpenWaitsForTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 1 << 20
		r := newRig(t, Sealed(testRing(t, 1)), func(o *Options) { o.Budget = budget.New(limit, time.Minute) })
		a := store(t, r, testUUID(1), testContent(limit, 1))
		b := store(t, r, testUUID(2), testContent(limit/2, 2))
		first, err := r.Open(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		r.faulty.Reset()
		_, err = r.Open(t.Context(), b)
		wantErr(t, err, budget.ErrBusy)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() {
			_, err := r.Open(ctx, b)
			result <- err
		}()
		synctest.Wait()
		cancel()
		wantErr(t, <-result, context.Canceled)
		if n := r.faulty.Calls(); n != 0 {
			t.Errorf("%d requests without a reservation", n)
		}
		go func() {
			f, err := r.Open(t.Context(), b)
			if err == nil {
				f.Close()
			}
			result <- err
		}()
		synctest.Wait()
		first.Close()
		if err := <-result; err != nil {
			t.Error(err)
		}
		r.done(t)
	})
}

func TestFetchHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Sealed(testRing(t, 1)))
		info := store(t, r, testUUID(1), []byte("content"))
		r.faulty.Inject(backendtest.Each(backendtest.OpRead, backendtest.Hold(backendtest.NewGate())))
		start := time.Now()
		_, err := r.Open(t.Context(), info)
		wantErr(t, err, context.DeadlineExceeded)
		if took := time.Since(start); took > DefaultTiming().Request.For(1000) {
			t.Errorf("took %v", took)
		}
		r.done(t)
	})
}

// A small file is one request; a large one is parallel ranges of one version.
func TestRanges(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	for i, test := range []struct{ size, requests int }{
		{0, 1}, {1 << 20, 1}, {2*rangeSize - crypto.Overhead, 1},
		{2*rangeSize - crypto.Overhead + 1, 3}, {5 * rangeSize, 6},
	} {
		content := testContent(test.size, uint64(i))
		info := store(t, r, testUUID(i), content)
		r.faulty.Reset()
		f, err := r.Open(t.Context(), info)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, test.size)
		if f.ReadAt(got, 0); !bytes.Equal(got, content) {
			t.Errorf("%d bytes: content differs", test.size)
		}
		f.Close()
		if n := r.faulty.Calls(); n != test.requests {
			t.Errorf("%d bytes: %d requests, want %d", test.size, n, test.requests)
		}
	}
	r.done(t)
}

func TestFailingRange(t *testing.T) {
	for _, fault := range []backendtest.Fault{
		backendtest.Fail(errOutage),
		func(context.Context, *backendtest.Request) error { panic("boom") },
	} {
		r := newRig(t, Sealed(testRing(t, 1)))
		info := store(t, r, testUUID(1), testContent(6*rangeSize, 1))
		for n := 1; n <= 7; n++ {
			r.faulty.Reset()
			r.faulty.Inject(backendtest.Nth(backendtest.OpRead, n, fault))
			func() {
				defer func() { recover() }() // of the first range, which runs in the caller
				_, err := r.Open(t.Context(), info)
				if err == nil || errors.Is(err, backends.ErrChanged) {
					t.Errorf("range %d failed, and Open reports %v", n, err)
				}
			}()
		}
		r.done(t)
	}
}

// The version changes while the ranges are being fetched.
func TestRangesOfTwoVersions(t *testing.T) {
	r := newRig(t, Plain()) // no tag would notice
	u := testUUID(1)
	info := store(t, r, u, testContent(4*rangeSize, 1))
	info.Version = ""
	var once sync.Once
	r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
		if c.Op != backendtest.OpRead || c.Off == 0 {
			return nil
		}
		return func(ctx context.Context, req *backendtest.Request) error {
			once.Do(func() {
				if err := r.mem.Delete(ctx, u.Key(), ""); err != nil {
					t.Error(err)
				}
				if _, err := r.mem.Create(ctx, u.Key(), testContent(4*rangeSize, 2)); err != nil {
					t.Error(err)
				}
			})
			return req.Do(ctx)
		}
	})
	_, err := r.Open(t.Context(), info)
	wantErr(t, err, backends.ErrChanged)
	r.done(t)
}

func TestFileReadAtAndClose(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	f, err := r.Open(t.Context(), store(t, r, testUUID(1), []byte("0123456789")))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		off  int64
		n    int
		want string
	}{{0, 4, "0123"}, {8, 4, "89"}, {10, 4, ""}, {11, 4, ""}, {-1, 4, ""}, {3, 0, ""}} {
		p := make([]byte, test.n)
		if got := string(p[:f.ReadAt(p, test.off)]); got != test.want {
			t.Errorf("ReadAt(%d, %d) = %q, want %q", test.off, test.n, got, test.want)
		}
	}
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			p := make([]byte, 10)
			for range 1000 {
				if n := f.ReadAt(p, 0); n != 0 && string(p) != "0123456789" {
					t.Errorf("read %q", p)
				}
			}
		})
	}
	f.Close()
	done.Wait()
	if n := f.ReadAt(make([]byte, 1), 0); n != 0 {
		t.Error("read after Close")
	}
	r.done(t)
}

// What is on its way to a reader stays where it is, although the file is closed.
func TestViewOutlivesClose(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)), func(o *Options) { o.Timing.Moment = 0 })
	f, err := r.Open(t.Context(), store(t, r, testUUID(1), []byte("0123456789")))
	if err != nil {
		t.Fatal(err)
	}
	view := f.View(100, 3)
	f.Close()
	if used := r.budget.Usage().Used; used == 0 || string(view) != "3456789" {
		t.Errorf("%d bytes in use, view %q", used, view)
	}
	f.Done()
	r.done(t)
}

// Messages and log attributes name the object, and never hold content.
func TestAttrs(t *testing.T) {
	err := error(&Error{Op: "open", Key: "ab/cd/x", Version: "v1", KeyID: "3",
		Err: &backends.Error{Op: "read", Key: "ab/cd/x", RequestID: "req-7", Err: errOutage}})
	got := map[string]bool{}
	for _, a := range Attrs(err) {
		got[fmt.Sprint(a)] = true
	}
	for _, want := range []string{"key=ab/cd/x", "etag=v1", "key_id=3", "request_id=req-7"} {
		if !got[want] {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
	if n := len(Attrs(errOutage)); n != 1 {
		t.Errorf("a bare error has %d attributes", n)
	}
}
