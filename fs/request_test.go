package fs

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/fs/attachment"
)

// remembering is a mount as it is in production: what was seen a moment ago
// costs no request.
func remembering(s *setting) {
	s.timing = attachment.DefaultTiming()
	// As long as the test takes, on any machine.
	s.timing.Moment, s.timing.Recent, s.timing.Listing, s.absence = time.Hour, time.Hour, time.Hour, time.Hour
}

func TestRequests(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode mode) {
		mem := backendtest.NewMem()
		on := func(s *setting) { s.on = mem }
		first := newRig(t, mode, remembering, on)
		content := testContent(512<<10, 1)
		requests := func(r *rig, what string, want int, do func()) {
			t.Helper()
			r.faulty.Reset()
			do()
			wantCalls(t, what, r, want)
		}
		requests(first, "a store: look and upload", 2, func() {
			_, err := os.Stat(first.path(1))
			wantErrno(t, "stat", err, syscall.ENOENT)
			mustStore(t, first.path(1), content)
		})
		requests(first, "a stat after the store", 0, func() {
			if info, err := os.Stat(first.path(1)); err != nil || info.Size() != int64(len(content)) {
				t.Errorf("stat: %v, %v", info, err)
			}
		})
		requests(first, "the first read after the store", 1, func() { wantFile(t, first.path(1), content) })

		other := newRig(t, mode, remembering, on)
		requests(other, "a look at nothing", 1, func() {
			_, err := os.Stat(other.path(2))
			wantErrno(t, "stat", err, syscall.ENOENT)
		})
		requests(other, "header, and then body", 1, func() {
			f, err := os.Open(other.path(1))
			if err != nil {
				t.Fatal(err)
			}
			header := make([]byte, 8191)
			if _, err := f.ReadAt(header, 0); err != nil || string(header) != string(content[:8191]) {
				t.Errorf("the header: %v", err)
			}
			f.Close()
			wantFile(t, other.path(1), content)
		})
		requests(other, "a delete", 1, func() {
			if err := os.Remove(other.path(1)); err != nil {
				t.Error(err)
			}
		})
		_, err := os.Open(other.path(1))
		wantErrno(t, "open of what was deleted here", err, syscall.ENOENT)
		mustStore(t, other.path(1), content[:100])
		wantFile(t, other.path(1), content[:100])
	})
}

// ls -l and find cost a page of a listing, and no look at any file.
func TestRequestsOfAWalk(t *testing.T) {
	r := newRig(t, remembering)
	for n := range 20 {
		mustStore(t, r.path(n), testContent(1000, uint64(n)))
	}
	r.remount(t)
	r.faulty.Reset()
	files := 0
	err := filepath.Walk(filepath.Join(r.dir, "ab"), func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files != 20 {
		t.Errorf("the walk found %d files, %v", files, err)
	}
	wantCalls(t, "a walk", r, 1, backendtest.OpList)
	wantCalls(t, "a walk", r, 1)
}

// What another machine stores is seen soon, even if it was looked for before.
func TestAbsenceIsForgotten(t *testing.T) {
	r := newRig(t, func(s *setting) { s.absence = 10 * time.Millisecond })
	_, err := os.Stat(r.path(1))
	wantErrno(t, "stat", err, syscall.ENOENT)
	r.replaceBehind(t, 1, []byte("content"))
	time.Sleep(100 * time.Millisecond) // the kernel counts in ticks
	wantFile(t, r.path(1), []byte("content"))
}
