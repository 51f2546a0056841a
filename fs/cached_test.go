package fs

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends/backendtest"
)

// node returns the node that is being written as attachment n, or nil.
func (r *rig) node(n int) *attachmentNode { return r.tree.findPending(testUUID(n)) }

func mustClose(t testing.TB, fd int) {
	t.Helper()
	if err := syscall.Close(fd); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestWhatIsGathered(t *testing.T) {
	for _, test := range []struct {
		name string
		mode mode
		want bool
	}{
		{"without a local directory", gathered, true},
		{"with one", func(*setting) {}, false},
		{"memory is scarce", func(s *setting) { s.noLocal, s.limit = true, 7<<20 }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, test.mode)
			fd := create(t, r.path(1))
			if got := r.node(1).cached; got != test.want {
				t.Errorf("gathered: %v", got)
			}
			mustWrite(t, fd, []byte("content"))
			mustClose(t, fd)
			wantFile(t, r.path(1), []byte("content"))
		})
	}
}

// There are few such files at a time, and those that are being uploaded do not
// count.
func TestGatheredFilesAreFew(t *testing.T) {
	r := newRig(t, gathered, func(s *setting) { s.limit = 1 << 30 })
	var fds []int
	for n := range maxPlaces + 1 {
		fds = append(fds, create(t, r.path(n)))
		mustWrite(t, fds[n], []byte("content"))
		if got, want := r.node(n).cached, n < maxPlaces; got != want {
			t.Errorf("file %d is gathered: %v", n, got)
		}
	}
	gate := backendtest.NewGate()
	r.faulty.Inject(backendtest.Nth(backendtest.OpCreate, 1, backendtest.Hold(gate)))
	synced := make(chan error)
	first := fds[0]
	go func() { synced <- syscall.Fdatasync(first) }()
	<-gate.Arrived()
	fds = append(fds, create(t, r.path(len(fds))))
	if !r.node(len(fds) - 1).cached {
		t.Error("a file that is being uploaded still takes a place")
	}
	gate.Open()
	if err := <-synced; err != nil {
		t.Error(err)
	}
	for _, fd := range fds {
		mustClose(t, fd)
	}
}

// A gathered write that is refused is heard at fdatasync, with its own errno,
// and close is silent; or else at close. Nothing is uploaded.
func TestRefusedGatheredWrite(t *testing.T) {
	const limit = 12 << 20
	for n, sync := range []bool{true, false} {
		r := newRig(t, gathered, func(s *setting) { s.limit = limit })
		fd := create(t, r.path(n))
		if !r.node(n).cached {
			t.Fatal("not gathered")
		}
		for range limit/(1<<20) + 1 {
			mustWrite(t, fd, make([]byte, 1<<20))
		}
		if sync {
			for range 2 {
				wantErrno(t, "fdatasync", syscall.Fdatasync(fd), syscall.EFBIG)
			}
			mustClose(t, fd)
		} else {
			wantErrno(t, "close", syscall.Close(fd), syscall.EFBIG)
		}
		_, err := os.Stat(r.path(n))
		wantErrno(t, "stat", err, syscall.ENOENT)
		wantCalls(t, "uploads", r, 0, backendtest.OpCreate)
		if n := strings.Count(r.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("logged %d errors, want one:\n%s", n, r.log)
		}
	}
	// What fits exactly is accepted, and can be read back.
	r := newRig(t, gathered, func(s *setting) { s.limit = limit })
	content := testContent(limit, 1)
	mustStore(t, r.path(3), content)
	wantFile(t, r.path(3), content)
}

// What is written after the commit is refused, heard, and seen by nobody, not
// even in the size.
func TestGatheredWriteAfterTheCommit(t *testing.T) {
	for _, sync := range []bool{true, false} {
		r := newRig(t, gathered)
		fd := create(t, r.path(1))
		mustWrite(t, fd, []byte("content"))
		if err := syscall.Fdatasync(fd); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, fd, []byte("and more"))
		wantFile(t, r.path(1), []byte("content"))
		if info, err := os.Stat(r.path(1)); err != nil || info.Size() != 7 {
			t.Errorf("stat: %v, %v", info, err)
		}
		if sync {
			wantErrno(t, "fdatasync", syscall.Fdatasync(fd), syscall.EPERM)
			mustClose(t, fd)
		} else {
			wantErrno(t, "close", syscall.Close(fd), syscall.EPERM)
		}
		wantFile(t, r.path(1), []byte("content"))
		wantCalls(t, "uploads", r, 1, backendtest.OpCreate)
	}
}

// A commit that failed is heard once more at the next fsync, also when more has
// been written, and nothing is uploaded.
func TestGatheredWriteAfterAFailure(t *testing.T) {
	r := newRig(t, gathered)
	r.faulty.Inject(backendtest.Each(backendtest.OpCreate, backendtest.Fail(errOutage)))
	fd := create(t, r.path(1))
	mustWrite(t, fd, []byte("content"))
	wantErrno(t, "fdatasync", syscall.Fdatasync(fd), syscall.EIO)
	r.faulty.Inject()
	mustWrite(t, fd, []byte("more"))
	wantErrno(t, "fdatasync", syscall.Fdatasync(fd), syscall.EIO)
	mustClose(t, fd)
	if r.inBucket(t, 1) {
		t.Error("half a file was committed")
	}
	wantCalls(t, "uploads", r, 1, backendtest.OpCreate)
}

func TestGatheredWriteAfterAnUnlink(t *testing.T) {
	r := newRig(t, gathered)
	fd := create(t, r.path(1))
	mustWrite(t, fd, []byte("content"))
	if err := os.Remove(r.path(1)); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, fd, []byte("more"))
	if err := syscall.Fsync(fd); err != nil {
		t.Errorf("fsync of an unlinked file: %v", err)
	}
	mustClose(t, fd)
	wantCalls(t, "unlinked file", r, 0, backendtest.OpCreate, backendtest.OpDelete)
}

// A page that the kernel has forgotten is completed by a read before a part of
// it is written.
func TestPartOfAForgottenPage(t *testing.T) {
	r := newRig(t, gathered)
	content := testContent(3*4096+100, 1)
	fd := create(t, r.path(1))
	mustWrite(t, fd, content)
	for _, off := range []int{50, 4096 + 4000, 3*4096 + 90, len(content) + 5000} {
		if err := unix.SyncFileRange(fd, 0, 0, unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER); err != nil {
			t.Fatal(err)
		}
		if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil {
			t.Fatal(err)
		}
		if _, err := syscall.Pwrite(fd, []byte("part of a page"), int64(off)); err != nil {
			t.Fatal(err)
		}
		content = append(content, make([]byte, max(0, off+14-len(content)))...)
		copy(content[off:], "part of a page")
	}
	mustClose(t, fd)
	wantFile(t, r.path(1), content)
}

// Through a descriptor that appends, and one more that truncates.
func TestGatheredAppend(t *testing.T) {
	r := newRig(t, gathered)
	fd, err := syscall.Open(r.path(1), syscall.O_WRONLY|syscall.O_CREAT|syscall.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, fd, bytes.Repeat([]byte("x"), 5000))
	if err := syscall.Ftruncate(fd, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Seek(fd, 0, 0); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, fd, []byte("end"))
	wantErrno(t, "truncate by somebody else", syscall.Truncate(r.path(1), 3), syscall.EPERM)
	mustClose(t, fd)
	wantFile(t, r.path(1), []byte("xxxend"))
}

// The kernel, which has forgotten what was flushed, completes a page of it before it
// writes a part.
func TestGatheredWriteIntoAFlushedPage(t *testing.T) {
	r := newRig(t, gathered)
	content := testContent(10_000, 1)
	fd := create(t, r.path(1))
	mustWrite(t, fd, content)
	second, err := syscall.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, second)
	if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Pwrite(fd, []byte("changed"), 5000); err != nil {
		t.Fatal(err)
	}
	copy(content[5000:], "changed")
	if err := syscall.Fdatasync(fd); err != nil {
		t.Error(err)
	}
	mustClose(t, fd)
	wantFile(t, r.path(1), content)
}
