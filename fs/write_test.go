package fs

import (
	"bytes"
	"errors"
	iofs "io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/fs/attachment"
)

var errOutage = errors.New("store is out of reach")

func create(t testing.TB, path string) int {
	t.Helper()
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func mustWrite(t testing.TB, fd int, p []byte) {
	t.Helper()
	if n, err := syscall.Write(fd, p); err != nil || n != len(p) {
		t.Fatalf("wrote %d of %d bytes, %v", n, len(p), err)
	}
}

func TestFsyncThenCloseUploadsOnce(t *testing.T) { inBothModes(t, testFsyncThenCloseUploadsOnce) }

func testFsyncThenCloseUploadsOnce(t *testing.T, mode mode) {
	for name, syncs := range map[string][]func(int) error{
		"close":               nil,
		"fdatasync":           {syscall.Fdatasync},
		"fsync":               {syscall.Fsync},
		"fsync twice":         {syscall.Fsync, syscall.Fsync},
		"fdatasync and fsync": {syscall.Fdatasync, syscall.Fsync},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, mode)
			fd := create(t, r.path(1))
			mustWrite(t, fd, []byte("content"))
			for _, sync := range syncs {
				if err := sync(fd); err != nil {
					t.Error(err)
				}
				if !r.inBucket(t, 1) {
					t.Error("not durable when fsync returned")
				}
			}
			if err := syscall.Close(fd); err != nil {
				t.Error(err)
			}
			wantCalls(t, "uploads", r, 1, backendtest.OpCreate)
			wantFile(t, r.path(1), []byte("content"))
		})
	}
}

func TestWritesInAnyOrder(t *testing.T) { inBothModes(t, testWritesInAnyOrder) }

func testWritesInAnyOrder(t *testing.T, mode mode) {
	r := newRig(t, mode)
	fd := create(t, r.path(1))
	for _, w := range []struct {
		off  int64
		data string
	}{{10, "world"}, {0, "hello"}, {12, "RL"}, {20, "!"}} {
		if _, err := syscall.Pwrite(fd, []byte(w.data), w.off); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Ftruncate(fd, 30); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Ftruncate(fd, 25); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || st.Size != 25 {
		t.Errorf("fstat: %d bytes, %v", st.Size, err)
	}
	if err := syscall.Close(fd); err != nil {
		t.Fatal(err)
	}
	wantFile(t, r.path(1), []byte("hello\x00\x00\x00\x00\x00woRLd\x00\x00\x00\x00\x00!\x00\x00\x00\x00"))
}

// A commit that fails is heard at fdatasync. Close is then silent, the name is
// gone, and nothing is uploaded later.
func TestFailedFsync(t *testing.T) {
	for name, test := range map[string]struct {
		fault backendtest.Fault
		want  syscall.Errno
	}{
		"outage":  {backendtest.Fail(errOutage), syscall.EIO},
		"refused": {backendtest.Fail(iofs.ErrPermission), syscall.EACCES},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.faulty.Inject(backendtest.Each(backendtest.OpCreate, test.fault))
			fd := create(t, r.path(1))
			mustWrite(t, fd, []byte("content"))
			for range 2 {
				wantErrno(t, "fdatasync", syscall.Fdatasync(fd), test.want)
			}
			_, err := syscall.Write(fd, []byte("more"))
			wantErrno(t, "write after the failure", err, test.want)
			_, err = os.Stat(r.path(1))
			wantErrno(t, "stat after the failure", err, syscall.ENOENT)
			if err := syscall.Close(fd); err != nil {
				t.Errorf("close repeats what fdatasync has reported: %v", err)
			}
			wantCalls(t, "uploads", r, 1, backendtest.OpCreate)
			if n := strings.Count(r.log.String(), "level=ERROR"); n != 1 {
				t.Errorf("logged %d errors, want one:\n%s", n, r.log)
			}
			if !strings.Contains(r.log.String(), testUUID(1).Key()) {
				t.Errorf("the log does not name the object:\n%s", r.log)
			}
		})
	}
}

// Without fdatasync the failure is heard at close, by every descriptor.
func TestFailedClose(t *testing.T) { inBothModes(t, testFailedClose) }

func testFailedClose(t *testing.T, mode mode) {
	r := newRig(t, mode)
	r.faulty.Inject(backendtest.Each(backendtest.OpCreate, backendtest.Fail(errOutage)))
	fd := create(t, r.path(1))
	mustWrite(t, fd, []byte("content"))
	second, err := syscall.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	wantErrno(t, "close", syscall.Close(fd), syscall.EIO)
	wantErrno(t, "close of the duplicate", syscall.Close(second), syscall.EIO)
	wantCalls(t, "uploads", r, 1, backendtest.OpCreate)
	if r.inBucket(t, 1) {
		t.Error("the file is in the bucket")
	}
}

// A write that fails, the last one included, is heard again at fsync and at
// close: Orthanc does not look at its last write. Nothing is uploaded.
func TestFailedWriteSticks(t *testing.T) {
	const limit = 1 << 20
	small := func(s *setting) { s.limit = limit }
	r := newRig(t, small)
	fill := func(n int) int {
		fd := create(t, r.path(n))
		mustWrite(t, fd, make([]byte, limit))
		_, err := syscall.Write(fd, []byte("x"))
		wantErrno(t, "write beyond the limit", err, syscall.EFBIG)
		_, err = syscall.Pwrite(fd, []byte("x"), 0)
		wantErrno(t, "write within the limit", err, syscall.EFBIG)
		return fd
	}
	fd := fill(1)
	wantErrno(t, "fdatasync", syscall.Fdatasync(fd), syscall.EFBIG)
	syscall.Close(fd)
	wantErrno(t, "close", syscall.Close(fill(2)), syscall.EFBIG)
	wantCalls(t, "uploads", r, 0, backendtest.OpCreate)
	if used := r.budget.Usage().Used; used != 0 {
		t.Errorf("%d bytes of a refused file are still in memory", used)
	}
	// What fits exactly is accepted, and can be read back.
	content := testContent(limit, 1)
	mustStore(t, r.path(3), content)
	wantFile(t, r.path(3), content)
}

// The store took the file but the answer was lost: Orthanc hears success.
func TestLostAnswer(t *testing.T) { inBothModes(t, testLostAnswer) }

func testLostAnswer(t *testing.T, mode mode) {
	for _, sync := range []bool{true, false} {
		for _, lost := range []error{errOutage, iofs.ErrExist} {
			r := newRig(t, mode)
			r.faulty.Inject(backendtest.Nth(backendtest.OpCreate, 1, backendtest.LoseAnswer(lost)))
			if err := storeAs(r.path(1), []byte("content"), sync); err != nil {
				t.Errorf("lost %v: %v", lost, err)
			}
			wantFile(t, r.path(1), []byte("content"))
		}
	}
}

func TestTakenAtCommit(t *testing.T) { inBothModes(t, testTakenAtCommit) }

func testTakenAtCommit(t *testing.T, mode mode) {
	r := newRig(t, mode)
	fd := create(t, r.path(1))
	mustWrite(t, fd, []byte("mine"))
	other := []byte("another machine's")
	if _, err := r.mem.Create(t.Context(), testUUID(1).Key(), other); err != nil {
		t.Fatal(err)
	}
	wantErrno(t, "fdatasync", syscall.Fdatasync(fd), syscall.EEXIST)
	syscall.Close(fd)
	if obj, err := r.mem.Stat(t.Context(), testUUID(1).Key()); err != nil || obj.Size != int64(len(other)) {
		t.Errorf("the other object: %+v, %v", obj, err)
	}
}

func TestPendingFileIsNobodyElses(t *testing.T) { inBothModes(t, testPendingFileIsNobodyElses) }

func testPendingFileIsNobodyElses(t *testing.T, mode mode) {
	r := newRig(t, mode)
	fd := create(t, r.path(1))
	mustWrite(t, fd, []byte("content"))
	if info, err := os.Stat(r.path(1)); err != nil || info.Size() != 7 {
		t.Errorf("stat: %v, %v", info, err)
	}
	_, err := syscall.Open(r.path(1), syscall.O_RDONLY, 0)
	wantErrno(t, "open for reading", err, syscall.EBUSY)
	_, err = syscall.Open(r.path(1), syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL, 0o600)
	wantErrno(t, "create exclusively", err, syscall.EEXIST)
	_, err = syscall.Open(r.path(1), syscall.O_WRONLY|syscall.O_CREAT, 0o600)
	wantErrno(t, "create", err, syscall.EPERM)
	if err := syscall.Close(fd); err != nil {
		t.Fatal(err)
	}
	wantFile(t, r.path(1), []byte("content"))
}

func TestDuplicatedDescriptors(t *testing.T) { inBothModes(t, testDuplicatedDescriptors) }

func testDuplicatedDescriptors(t *testing.T, mode mode) {
	r := newRig(t, mode)
	fd := create(t, r.path(1))
	mustWrite(t, fd, []byte("content"))
	second, err := syscall.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range []int{fd, second} {
		if err := syscall.Close(fd); err != nil {
			t.Error(err)
		}
	}
	wantCalls(t, "uploads", r, 1, backendtest.OpCreate)

	// A write through the duplicate after the first close continues the file.
	fd = create(t, r.path(2))
	mustWrite(t, fd, []byte("content"))
	if second, err = syscall.Dup(fd); err != nil {
		t.Fatal(err)
	}
	mustClose(t, fd)
	wantFile(t, r.path(2), []byte("content"))
	mustWrite(t, second, []byte(" and more"))
	if err := syscall.Fdatasync(second); err != nil {
		t.Error(err)
	}
	wantFile(t, r.path(2), []byte("content and more"))
	mustClose(t, second)
	wantCalls(t, "replacements", r, 1, backendtest.OpReplace)
	wantCalls(t, "deletes", r, 0, backendtest.OpDelete)
}

// After an fsync nothing follows: somebody may have been told that it is stored.
func TestWriteAfterFsync(t *testing.T) {
	r := newRig(t)
	fd := create(t, r.path(1))
	mustWrite(t, fd, []byte("content"))
	if err := syscall.Fdatasync(fd); err != nil {
		t.Fatal(err)
	}
	_, err := syscall.Write(fd, []byte(" and more"))
	wantErrno(t, "write after the fsync", err, syscall.EPERM)
	syscall.Close(fd)
	wantFile(t, r.path(1), []byte("content"))
}

// Whoever has opened what a flush has committed keeps it, with its size, when the
// file goes on.
func TestReaderOfAFileThatGoesOn(t *testing.T) { inBothModes(t, testReaderOfAFileThatGoesOn) }

func testReaderOfAFileThatGoesOn(t *testing.T, mode mode) {
	r := newRig(t, mode)
	fd := create(t, r.path(1))
	mustWrite(t, fd, []byte("content"))
	second, err := syscall.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, second)
	reader, err := os.Open(r.path(1))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	mustWrite(t, fd, []byte(" and more"))
	mustClose(t, fd)
	if end, err := reader.Seek(0, 2); end != 7 || err != nil {
		t.Errorf("SEEK_END gives %d, %v", end, err)
	}
	if info, err := reader.Stat(); err != nil || info.Size() != 7 {
		t.Errorf("fstat: %v, %v", info, err)
	}
	wantFile(t, r.path(1), []byte("content and more"))
}

// What a flush has committed stays when what follows cannot be stored, and whoever
// wrote hears of it.
func TestContinuationInVain(t *testing.T) { inBothModes(t, testContinuationInVain) }

func testContinuationInVain(t *testing.T, mode mode) {
	for name, fault := range map[string]struct {
		op   backendtest.Op
		err  error
		want syscall.Errno
	}{
		"nothing can be replaced": {backendtest.OpReplace, errors.ErrUnsupported, syscall.EIO},
		"outage":                  {backendtest.OpReplace, errOutage, syscall.EIO},
		"it cannot be fetched":    {backendtest.OpRead, errOutage, syscall.EIO},
		"it may not be fetched":   {backendtest.OpRead, iofs.ErrPermission, syscall.EACCES},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, mode)
			fd := create(t, r.path(1))
			mustWrite(t, fd, []byte("content"))
			second, err := syscall.Dup(fd)
			if err != nil {
				t.Fatal(err)
			}
			mustClose(t, second)
			r.faulty.Inject(backendtest.Each(fault.op, backendtest.Fail(fault.err)))
			syscall.Write(fd, []byte(" and more")) // may be gathered
			wantErrno(t, "fdatasync", syscall.Fdatasync(fd), fault.want)
			mustClose(t, fd)
			r.faulty.Reset()
			wantFile(t, r.path(1), []byte("content"))
			wantCalls(t, "deletes", r, 0, backendtest.OpDelete)
		})
	}
}

// All threads of a process that created a file may commit it.
func TestCloseByAnotherThread(t *testing.T) { inBothModes(t, testCloseByAnotherThread) }

func testCloseByAnotherThread(t *testing.T, mode mode) {
	r := newRig(t, mode)
	onThread := func(f func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			f()
		}()
		<-done
	}
	var fd, second int
	hold := make(chan struct{})
	defer close(hold)
	created := make(chan struct{})
	go onThread(func() {
		fd = create(t, r.path(1))
		mustWrite(t, fd, []byte("content"))
		close(created)
		<-hold
	})
	<-created
	var err error
	if second, err = syscall.Dup(fd); err != nil {
		t.Fatal(err)
	}
	onThread(func() {
		if err := syscall.Close(fd); err != nil {
			t.Error(err)
		}
	})
	if !r.inBucket(t, 1) {
		t.Error("not committed")
	}
	syscall.Close(second)
}

// A shell closes a duplicate of the empty file before anything is written.
func TestShellRedirection(t *testing.T) { inBothModes(t, testShellRedirection) }

func testShellRedirection(t *testing.T, mode mode) {
	r := newRig(t, mode)
	for i, script := range []string{`echo hello >"$0"`, `cat /dev/stdin >"$0" <<E
hello
E`, `{ /bin/printf hel; /bin/echo lo; } >"$0"`, `exec 3>"$0"; echo hello >&3; exec 3>&-`} {
		if out, err := exec.Command("sh", "-c", script, r.path(i)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", script, err, out)
		}
		wantFile(t, r.path(i), []byte("hello\n"))
	}
	if err := exec.Command("touch", r.path(9)).Run(); err != nil {
		t.Error(err)
	}
	wantFile(t, r.path(9), nil)
}

// Somebody looks at a file that was closed empty, before it is written to.
func TestSizeOfAReopenedFile(t *testing.T) { inBothModes(t, testSizeOfAReopenedFile) }

func testSizeOfAReopenedFile(t *testing.T, mode mode) {
	r := newRig(t, mode)
	fd := create(t, r.path(1))
	second, err := syscall.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Close(second); err != nil { // commits the empty file
		t.Fatal(err)
	}
	wantSize := func(want int64) {
		t.Helper()
		if info, err := os.Stat(r.path(1)); err != nil || info.Size() != want {
			t.Errorf("stat: %v, %v; want %d bytes", info, err, want)
		}
	}
	wantSize(0)
	mustWrite(t, fd, []byte("hello"))
	if err := syscall.Close(fd); err != nil {
		t.Fatal(err)
	}
	wantSize(5)
	wantFile(t, r.path(1), []byte("hello"))
}

// A file that was closed empty and then deleted is not brought back by a write
// while another one is being written under its name.
func TestReopenOfATakenName(t *testing.T) {
	r := newRig(t)
	first := create(t, r.path(1))
	second, err := syscall.Dup(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Close(second); err != nil { // commits the empty file
		t.Fatal(err)
	}
	if err := os.Remove(r.path(1)); err != nil {
		t.Fatal(err)
	}
	other := create(t, r.path(1))
	mustWrite(t, other, []byte("other"))
	_, err = syscall.Write(first, []byte("x"))
	wantErrno(t, "write", err, syscall.EPERM)
	syscall.Close(first)
	if err := syscall.Close(other); err != nil {
		t.Error(err)
	}
	wantFile(t, r.path(1), []byte("other"))
}

func TestUnlinkWhileOpen(t *testing.T) {
	r := newRig(t)
	content := testContent(300_000, 1)
	mustStore(t, r.path(1), content)
	reader, err := os.Open(r.path(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.path(1)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(content))
	if n, err := reader.ReadAt(got, 0); err != nil || !bytes.Equal(got[:n], content) {
		t.Errorf("read %d bytes after the unlink, %v", n, err)
	}
	reader.Close()

	r.faulty.Reset()
	fd := create(t, r.path(2))
	mustWrite(t, fd, []byte("content"))
	if err := os.Remove(r.path(2)); err != nil {
		t.Fatal(err)
	}
	_, err = syscall.Write(fd, []byte("more"))
	wantErrno(t, "write after the unlink", err, syscall.ENOENT)
	for what, err := range map[string]error{"fsync": syscall.Fsync(fd), "close": syscall.Close(fd)} {
		if err != nil {
			t.Errorf("%s of an unlinked file: %v", what, err)
		}
	}
	wantCalls(t, "unlinked file", r, 0, backendtest.OpCreate, backendtest.OpDelete)
}

// An unlink during the commit waits for it, and leaves nothing.
func TestUnlinkDuringCommit(t *testing.T) { inBothModes(t, testUnlinkDuringCommit) }

func testUnlinkDuringCommit(t *testing.T, mode mode) {
	r := newRig(t, mode)
	gate := backendtest.NewGate()
	r.faulty.Inject(backendtest.Each(backendtest.OpCreate, backendtest.Hold(gate)))
	fd := create(t, r.path(1))
	mustWrite(t, fd, []byte("content"))
	synced := make(chan error)
	go func() { synced <- syscall.Fdatasync(fd) }()
	<-gate.Arrived()
	removed := make(chan error)
	go func() { removed <- os.Remove(r.path(1)) }()
	gate.Open()
	if err := <-synced; err != nil {
		t.Errorf("fdatasync: %v", err)
	}
	if err := <-removed; err != nil {
		t.Errorf("unlink: %v", err)
	}
	syscall.Close(fd)
	if r.inBucket(t, 1) {
		t.Error("the object is still there")
	}
}

func TestFailedUnlink(t *testing.T) {
	timing := attachment.DefaultTiming()
	timing.Delete = 50 * time.Millisecond
	r := newRig(t, func(s *setting) { s.timing = timing })
	mustStore(t, r.path(1), []byte("content"))
	r.faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Fail(errOutage)))
	wantErrno(t, "unlink", syscall.Unlink(r.path(1)), syscall.EIO)
	if n := r.store.Counters.FailedDeletes.Load(); n != 1 {
		t.Errorf("counted %d", n)
	}
	if !strings.Contains(r.log.String(), "key="+testUUID(1).Key()) {
		t.Errorf("the log does not name the object:\n%s", r.log)
	}
	r.faulty.Reset()
	wantFile(t, r.path(1), []byte("content"))
}

// 64 writers and 64 readers on a budget for two of them.
func TestManyWritersAndReaders(t *testing.T) {
	const files, limit = 64, 2 << 20
	r := newRig(t, func(s *setting) { s.limit = limit })
	contents := make([][]byte, files)
	var done sync.WaitGroup
	for i := range files {
		contents[i] = testContent(1+(i*7919*13)%(1<<20), uint64(i))
		done.Go(func() {
			if err := storeAs(r.path(i), contents[i], i%2 == 0); err != nil {
				t.Error(err)
			}
			if used := r.budget.Usage().Used; used > 2*limit {
				t.Errorf("%d bytes in use", used)
			}
		})
	}
	done.Wait()
	for i := range files {
		done.Go(func() { wantFile(t, r.path(i), contents[i]) })
	}
	done.Wait()
	wantCalls(t, "uploads", r, files, backendtest.OpCreate)
	wantCalls(t, "fetches", r, files, backendtest.OpRead)
}

// No budget within the deadline is ENOMEM, for readers and writers.
func TestNoBudget(t *testing.T) {
	const limit = 1 << 20
	r := newRig(t, func(s *setting) { s.limit, s.patience = limit, 50*time.Millisecond })
	mustStore(t, r.path(1), testContent(limit, 1))
	holder, err := os.Open(r.path(1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Open(r.path(1))
	wantErrno(t, "open", err, syscall.ENOMEM)
	fd := create(t, r.path(2))
	_, err = syscall.Write(fd, []byte("x"))
	wantErrno(t, "write", err, syscall.ENOMEM)
	wantErrno(t, "close", syscall.Close(fd), syscall.ENOMEM)
	holder.Close()
}

func TestDrain(t *testing.T) { inBothModes(t, testDrain) }

func testDrain(t *testing.T, mode mode) {
	r := newRig(t, mode)
	mustStore(t, r.path(1), []byte("content"))
	fd := create(t, r.path(2))
	mustWrite(t, fd, []byte("con"))
	drained := make(chan error)
	go func() { drained <- r.Drain(t.Context()) }()
	for !r.tree.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	_, err := syscall.Open(r.path(3), syscall.O_WRONLY|syscall.O_CREAT, 0o600)
	wantErrno(t, "create while draining", err, syscall.EIO)
	_, err = os.Open(r.path(1))
	wantErrno(t, "open while draining", err, syscall.EIO)
	mustWrite(t, fd, []byte("tent"))
	select {
	case <-drained:
		t.Error("drained while a file was being written")
	default:
	}
	if err := syscall.Close(fd); err != nil {
		t.Error(err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if !r.inBucket(t, 2) {
		t.Error("the file that was being written is not in the bucket")
	}
}

func TestUnmountOfABusyTree(t *testing.T) { inBothModes(t, testUnmountOfABusyTree) }

func testUnmountOfABusyTree(t *testing.T, mode mode) {
	r := newRig(t, mode)
	mustStore(t, r.path(1), []byte("content"))
	f, err := os.Open(r.path(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Unmount(); err == nil {
		t.Error("unmounting a tree in use reports no error")
	}
	if entries, err := os.ReadDir(r.dir); err != nil || len(entries) != 0 {
		t.Errorf("the mount point is not free: %v, %v", entries, err)
	}
	got := make([]byte, 7)
	if _, err := unix.Pread(int(f.Fd()), got, 0); err != nil || string(got) != "content" {
		t.Errorf("the open file: %q, %v", got, err)
	}
	f.Close()
	r.detached = true
	r.Wait()
	r.mountAgain(t)
}
