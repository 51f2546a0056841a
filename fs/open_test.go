package fs

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

// Every failure to read is reported by open, logged once with the object's
// key, and gives no content.
func TestOpenReportsEveryFailure(t *testing.T) {
	read := func(f backendtest.Fault) backendtest.Rule { return backendtest.Each(backendtest.OpRead, f) }
	for name, test := range map[string]struct {
		rule backendtest.Rule
		want syscall.Errno
	}{
		"gone":        {read(backendtest.Fail(iofs.ErrNotExist)), syscall.ENOENT},
		"refused":     {read(backendtest.Fail(iofs.ErrPermission)), syscall.EACCES},
		"outage":      {read(backendtest.Fail(errOutage)), syscall.EIO},
		"timeout":     {read(backendtest.Fail(context.DeadlineExceeded)), syscall.EIO},
		"cut short":   {read(backendtest.CutShort(5000)), syscall.EIO},
		"bad magic":   {read(backendtest.FlipBit(0)), syscall.EIO},
		"unknown key": {read(backendtest.FlipBit(2)), syscall.ENOKEY},
		"tampered":    {read(backendtest.FlipBit(5000)), syscall.EIO},
		"bad tag":     {read(backendtest.FlipBit(10_085)), syscall.EIO},
		"changed":     {read(backendtest.Fail(backends.ErrChanged)), syscall.ESTALE},
		"ENOSYS":      {read(backendtest.Fail(syscall.ENOSYS)), syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			mustStore(t, r.path(1), testContent(10_000, 1))
			r.faulty.Inject(test.rule)
			_, err := os.Open(r.path(1))
			wantErrno(t, "open", err, test.want)
			opens := r.faulty.Calls(backendtest.OpRead) // the kernel repeats after ESTALE
			if n := strings.Count(r.log.String(), "level=ERROR"); n != opens {
				t.Errorf("%d failed opens, %d errors in the log:\n%s", opens, n, r.log)
			}
			if log := r.log.String(); !strings.Contains(log, "key="+testUUID(1).Key()) || !strings.Contains(log, "etag=") {
				t.Errorf("the log does not name the object and its version:\n%s", log)
			}
			r.faulty.Reset()
			wantFile(t, r.path(1), testContent(10_000, 1))
		})
	}
}

// Readers that share a fetch share its failure: it is logged once, and all of them
// hear of it.
func TestFailureThatIsSharedIsLoggedOnce(t *testing.T) {
	r := newRig(t, func(s *setting) { s.timing.Moment = attachment.DefaultTiming().Moment })
	mustStore(t, r.path(1), testContent(10_000, 1))
	r.faulty.Reset()
	const readers = 20
	r.faulty.Inject(backendtest.Each(backendtest.OpRead, func(context.Context, *backendtest.Request) error {
		time.Sleep(200 * time.Millisecond) // others open it meanwhile
		return errOutage
	}))
	var done sync.WaitGroup
	for range readers {
		done.Go(func() {
			_, err := os.Open(r.path(1))
			wantErrno(t, "open", err, syscall.EIO)
		})
	}
	done.Wait()
	requests := r.faulty.Calls(backendtest.OpRead)
	if n := strings.Count(r.log.String(), "level=ERROR"); n != requests {
		t.Errorf("%d failed opens, %d requests, %d errors in the log:\n%s", readers, requests, n, r.log)
	}
	r.faulty.Reset()
	wantFile(t, r.path(1), testContent(10_000, 1))
}

// A failure to look is never ENOENT, and is one that Orthanc can pass on.
func TestFailedLookup(t *testing.T) {
	for _, failure := range []error{errOutage, iofs.ErrPermission, context.DeadlineExceeded, syscall.ENOSPC, budget.ErrBusy} {
		r := newRig(t)
		r.faulty.Inject(backendtest.Each(backendtest.OpStat, backendtest.Fail(failure)))
		_, err := os.Stat(r.path(1))
		wantErrno(t, fmt.Sprint("stat during ", failure), err, syscall.ENOTDIR)
		wantErrno(t, "store", storeAs(r.path(1), nil, true), syscall.ENOTDIR)
		if !strings.Contains(r.log.String(), "key="+testUUID(1).Key()) {
			t.Errorf("the log does not name the object:\n%s", r.log)
		}
	}
}

func TestShorterThanAnEnvelope(t *testing.T) {
	r := newRig(t)
	if _, err := r.mem.Create(t.Context(), testUUID(1).Key(), make([]byte, 85)); err != nil {
		t.Fatal(err)
	}
	_, err := os.Stat(r.path(1))
	wantErrno(t, "stat", err, syscall.EIO)
}

// Another machine replaces the attachment between stat and open: whoever opens
// it sees the size of what it reads.
func TestReplacedBetweenStatAndOpen(t *testing.T) { inBothModes(t, testReplacedBetweenStatAndOpen) }

func testReplacedBetweenStatAndOpen(t *testing.T, mode mode) {
	for _, size := range []int{500, 1000, 2000} {
		r := newRig(t, mode)
		mustStore(t, r.path(1), testContent(1000, 1))
		if _, err := os.Stat(r.path(1)); err != nil {
			t.Fatal(err)
		}
		content := testContent(size, 2)
		r.replaceBehind(t, 1, content)
		f, err := os.Open(r.path(1))
		if err != nil {
			t.Fatal(err) // the kernel looks again after ESTALE
		}
		if end, err := f.Seek(0, 2); err != nil || end != int64(size) {
			t.Errorf("SEEK_END gives %d, %v; want %d", end, err, size)
		}
		f.Close()
		wantFile(t, r.path(1), content)
	}
}

// An open file keeps its content and its size when the attachment is replaced.
func TestOpenFileKeepsItsVersion(t *testing.T) { inBothModes(t, testOpenFileKeepsItsVersion) }

func testOpenFileKeepsItsVersion(t *testing.T, mode mode) {
	r := newRig(t, mode)
	old := testContent(3000, 1)
	mustStore(t, r.path(1), old)
	f, err := os.Open(r.path(1))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content := testContent(5000, 2)
	r.replaceBehind(t, 1, content)
	wantFile(t, r.path(1), content)
	if end, err := f.Seek(0, 2); err != nil || end != int64(len(old)) {
		t.Errorf("SEEK_END gives %d, %v; want %d", end, err, len(old))
	}
	got := make([]byte, len(old))
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != string(old) {
		t.Errorf("the open file has other content, %v", err)
	}
}

// A listing that is newer than what the kernel knows has the last word.
func TestReplacedElsewhereIsListed(t *testing.T) {
	r := newRig(t)
	mustStore(t, r.path(1), testContent(1000, 1))
	r.remount(t)
	if info, err := os.Stat(r.path(1)); err != nil || info.Size() != 1000 {
		t.Fatalf("%v, %v", info, err)
	}
	r.replaceBehind(t, 1, testContent(500, 2))
	entries, err := os.ReadDir(filepath.Dir(r.path(1)))
	if err != nil || len(entries) != 1 {
		t.Fatalf("listed %v, %v", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Size() != 500 {
		t.Errorf("listed %v, %v; want 500 bytes", info, err)
	}
	wantFile(t, r.path(1), testContent(500, 2))
}

// replaceBehind stores other content under attachment n, as another machine
// would.
func (r *rig) replaceBehind(t *testing.T, n int, content []byte) {
	t.Helper()
	other := newRig(t)
	mustStore(t, other.path(n), content)
	key := testUUID(n).Key()
	obj, err := other.mem.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, obj.Size)
	if _, _, err := other.mem.Read(t.Context(), key, "", body, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.mem.Delete(t.Context(), key, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := r.mem.Create(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}

func TestDeletedElsewhere(t *testing.T) { inBothModes(t, testDeletedElsewhere) }

func testDeletedElsewhere(t *testing.T, mode mode) {
	r := newRig(t, mode)
	mustStore(t, r.path(1), []byte("content"))
	if _, err := os.Stat(r.path(1)); err != nil {
		t.Fatal(err)
	}
	if err := r.mem.Delete(t.Context(), testUUID(1).Key(), ""); err != nil {
		t.Fatal(err)
	}
	_, err := os.Open(r.path(1)) // stat may still believe in it, open must not
	wantErrno(t, "open", err, syscall.ENOENT)
}

// What another machine stores is seen at once: absence is never remembered.
func TestStoredElsewhere(t *testing.T) {
	r := newRig(t)
	_, err := os.Stat(r.path(1))
	wantErrno(t, "stat", err, syscall.ENOENT)
	if _, err := os.ReadDir(r.dir + "/ab/01"); err != nil { // nor by a listing
		t.Fatal(err)
	}
	r.replaceBehind(t, 1, []byte("content"))
	wantFile(t, r.path(1), []byte("content"))
}

func TestReadsAreExact(t *testing.T) { inBothModes(t, testReadsAreExact) }

func testReadsAreExact(t *testing.T, mode mode) {
	r := newRig(t, mode)
	content := testContent(3<<20+17, 1)
	mustStore(t, r.path(1), content)
	f, err := os.Open(r.path(1))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r.faulty.Reset()
	var done sync.WaitGroup
	for i := range 16 {
		done.Go(func() {
			for j := range 50 {
				off := (i*7919 + j*104729*13) % (len(content) + 5000)
				got := make([]byte, 1+(i*j*997)%(2<<20))
				n, err := syscall.Pread(int(f.Fd()), got, int64(off))
				want := content[min(off, len(content)):min(off+len(got), len(content))]
				if err != nil || string(got[:n]) != string(want) {
					t.Errorf("pread of %d at %d gives %d bytes, %v", len(got), off, n, err)
				}
			}
		})
	}
	done.Wait()
	wantCalls(t, "reads", r, 0)
}

func TestOpenOfADirectoryName(t *testing.T) {
	r := newRig(t)
	if err := os.WriteFile(r.dir+"/ab", nil, 0o600); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("writing to a directory of the layout: %v", err)
	}
}

// Stores keep time in seconds: a replaced object may have the time and the size
// of the old one, and differ in nothing but its version.
func TestReplacedWithinOneTick(t *testing.T) {
	r := newRig(t, func(s *setting) { s.on = coarseClock{s.on} })
	mustStore(t, r.path(1), testContent(1000, 1))
	r.remount(t)
	wantFile(t, r.path(1), testContent(1000, 1))
	r.replaceBehind(t, 1, testContent(1000, 2))
	wantFile(t, r.path(1), testContent(1000, 2))
	// A listing knows no versions, and cannot tell them apart.
	if entries, err := os.ReadDir(filepath.Dir(r.path(1))); err != nil || len(entries) != 1 {
		t.Fatalf("listed %v, %v", entries, err)
	}
	r.replaceBehind(t, 1, testContent(1000, 3))
	wantFile(t, r.path(1), testContent(1000, 3))
}

// coarseClock is a bucket whose clock stands still.
type coarseClock struct{ backends.Bucket }

func (c coarseClock) stop(obj backends.Object) backends.Object {
	obj.Modified = time.Unix(1_000_000_000, 0)
	return obj
}

func (c coarseClock) Stat(ctx context.Context, key string) (backends.Object, error) {
	obj, err := c.Bucket.Stat(ctx, key)
	return c.stop(obj), err
}

func (c coarseClock) Read(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
	n, obj, err := c.Bucket.Read(ctx, key, version, p, off)
	return n, c.stop(obj), err
}

func (c coarseClock) List(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
	page, err := c.Bucket.List(ctx, opts)
	for i := range page.Objects {
		page.Objects[i] = c.stop(page.Objects[i])
	}
	return page, err
}

func (c coarseClock) Create(ctx context.Context, key string, body []byte) (backends.Object, error) {
	obj, err := c.Bucket.Create(ctx, key, body)
	return c.stop(obj), err
}
