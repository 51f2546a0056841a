package fs

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

// rig is a real mount of a bucket in memory.
type rig struct {
	*Mount
	dir    string // mount point
	local  string // local directory, or empty
	mem    backends.Bucket
	faulty *backendtest.Faulty
	store  *attachment.Store
	budget *budget.Budget
	log    *logBuffer

	detached bool // in use when it was unmounted: the last release may not come
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// setting is what a test may want to be different.
type setting struct {
	limit    int64
	noLocal  bool
	readOnly bool
	uid, gid uint32          // of the tree and the local directory
	on       backends.Bucket // instead of an empty one
	timing   attachment.Timing
	patience time.Duration
	absence  time.Duration
}

// mode says how the files of a rig are written.
type mode = func(*setting)

// inBothModes runs a test with a request for each write, and with a kernel that
// gathers them, which it does without a local directory.
func inBothModes(t *testing.T, test func(*testing.T, mode)) {
	t.Run("direct", func(t *testing.T) { test(t, func(*setting) {}) })
	t.Run("gathered", func(t *testing.T) { test(t, gathered) })
}

func gathered(s *setting) { s.noLocal = true }

func newRig(t testing.TB, changes ...func(*setting)) *rig {
	t.Helper()
	s := setting{limit: 64 << 20, uid: uint32(os.Getuid()), gid: uint32(os.Getgid()), on: backendtest.NewMem(), timing: attachment.DefaultTiming(), patience: time.Minute}
	s.timing.Moment = 0 // every open fetches, so that its faults can be seen
	for _, change := range changes {
		change(&s)
	}
	tmp := t.TempDir()
	r := &rig{dir: filepath.Join(tmp, "mnt"), mem: s.on, faulty: backendtest.NewFaulty(s.on), log: new(logBuffer)}
	mkdir(t, r.dir)
	if !s.noLocal {
		r.local = filepath.Join(tmp, "local")
		mkdir(t, r.local)
		if err := os.Lchown(r.local, int(s.uid), int(s.gid)); err != nil {
			t.Fatal(err)
		}
	}
	r.budget = budget.New(s.limit, s.patience)
	log := slog.New(slog.NewTextHandler(r.log, nil))
	r.store = attachment.NewStore(attachment.Options{
		Bucket: r.faulty, Codec: attachment.Sealed(testRing(t)), Budget: r.budget, Log: log, Timing: s.timing,
	})
	var err error
	r.Mount, err = New(Options{
		Mountpoint: r.dir, Store: r.store, UID: s.uid, GID: s.gid,
		Local: openLocal(t, r.local), ReadOnly: s.readOnly, Absence: s.absence, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.end(t) })
	return r
}

// openLocal opens a directory until the end of the test; none if dir is empty.
func openLocal(t testing.TB, dir string) *os.File {
	t.Helper()
	if dir == "" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// end unmounts, and proves that nothing is left in use.
func (r *rig) end(t testing.TB) {
	if t.Failed() {
		r.abort()
		t.Logf("log of the mount:\n%s", r.log)
		return
	}
	if !r.detached {
		r.waitReleased()
	}
	if err := r.Unmount(); err != nil {
		t.Errorf("unmounting: %v", err)
	}
	r.store.Close()
	if u := r.budget.Usage(); !r.detached && (u.Used != 0 || u.Waiting != 0) {
		t.Errorf("%d bytes of memory in use, %d waiting after the unmount", u.Used, u.Waiting)
	}
	if n := r.tree.places.taken; n != 0 {
		t.Errorf("%d files have places after the unmount", n)
	}
	if n := len(r.tree.pending); n != 0 {
		t.Errorf("%d files are pending after the unmount", n)
	}
}

// abort ends the mount after a failure. Files that the test has left open would
// be flushed to this very process when it ends, and it would wait for itself.
func (r *rig) abort() { unix.Unmount(r.dir, unix.MNT_FORCE|unix.MNT_DETACH) }

// waitReleased waits for the release of closed files, which close does not wait
// for and an unmount may forestall. The check for leaks comes afterwards.
func (r *rig) waitReleased() {
	for deadline := time.Now().Add(5 * time.Second); r.budget.Usage().Used > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

func mkdir(t testing.TB, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func testRing(t testing.TB) *crypto.KeyRing {
	t.Helper()
	key, err := crypto.NewMasterKey(1, bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.NewKeyRing(key)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func testUUID(n int) attachment.UUID {
	u, _ := attachment.ParseUUID(fmt.Sprintf("ab%02x%04x-1111-4222-8333-%012x", n&0xff, n&0xffff, n))
	return u
}

// path returns where attachment n is in the mount.
func (r *rig) path(n int) string { return filepath.Join(r.dir, testUUID(n).Key()) }

func testContent(n int, seed uint64) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 2}).Read(p)
	return p
}

// storeAs writes a file as Orthanc does: in pieces of 4,096 bytes, with or
// without fdatasync.
func storeAs(path string, content []byte, sync bool) error {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	for off := 0; off < len(content) && err == nil; off += 4096 {
		_, err = syscall.Write(fd, content[off:min(off+4096, len(content))])
	}
	if sync && err == nil {
		err = syscall.Fdatasync(fd)
	}
	return errors.Join(err, syscall.Close(fd))
}

func mustStore(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := storeAs(path, content, true); err != nil {
		t.Fatal(err)
	}
}

func wantFile(t testing.TB, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, error %v; want the %d bytes that were stored", len(got), err, len(want))
	}
}

func wantErrno(t testing.TB, what string, err error, want syscall.Errno) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// inBucket returns whether attachment n is an object.
func (r *rig) inBucket(t testing.TB, n int) bool {
	t.Helper()
	_, err := r.mem.Stat(t.Context(), testUUID(n).Key())
	return err == nil
}

func wantCalls(t testing.TB, what string, r *rig, want int, ops ...backendtest.Op) {
	t.Helper()
	if n := r.faulty.Calls(ops...); n != want {
		t.Errorf("%s: %d requests %v, want %d", what, n, ops, want)
	}
}

// waitWaiting returns when somebody waits for the budget.
func (r *rig) waitWaiting(t *testing.T) {
	t.Helper()
	for t.Context().Err() == nil && r.budget.Usage().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
}

// waitInterrupt returns when the mount has had the time to act on the signal
// that was just sent: a later request has been answered.
func (r *rig) waitInterrupt(t *testing.T) {
	t.Helper()
	time.Sleep(3 * dyingPoll)
	if _, err := os.Stat(r.dir + "/ab"); err != nil {
		t.Fatal(err)
	}
}

// open opens attachment n for reading.
func (r *rig) open(t testing.TB, n int) *os.File {
	t.Helper()
	f, err := os.Open(r.path(n))
	if err != nil {
		t.Fatal(err)
	}
	return f
}
