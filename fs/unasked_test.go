package fs

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/fs/attachment"
)

// deleteAsOrthanc deletes a file as Orthanc does.
func deleteAsOrthanc(file string) {
	if _, err := os.Lstat(file); err == nil {
		_ = syscall.Unlink(file)
	}
	_ = syscall.Rmdir(filepath.Dir(file))
	_ = syscall.Rmdir(path.Dir(filepath.Dir(file)))
}

// A delete that does not reach the mount, because the look before it is not
// answered, is told by what follows it, and nothing else is taken for one.
func TestDeleteThatIsNotAsked(t *testing.T) {
	inVain := func(file string) { _, _ = os.Lstat(file) }
	for name, c := range map[string]struct {
		do   func(r *rig)
		want int64
	}{
		"a delete":                  {func(r *rig) { deleteAsOrthanc(r.path(1)) }, 1},
		"two":                       {func(r *rig) { deleteAsOrthanc(r.path(1)); deleteAsOrthanc(r.path(2)) }, 2},
		"a store":                   {func(r *rig) { _ = storeAs(r.path(1), nil, true) }, 0},
		"a look":                    {func(r *rig) { inVain(r.path(1)) }, 0},
		"an rmdir":                  {func(r *rig) { _ = syscall.Rmdir(filepath.Dir(r.path(1))) }, 0},
		"a look, and another rmdir": {func(r *rig) { inVain(r.path(1)); _ = syscall.Rmdir(filepath.Dir(r.path(2))) }, 0},
		"somebody else's rmdir": {func(r *rig) {
			inVain(r.path(1))
			onAnotherThread(func() { _ = syscall.Rmdir(filepath.Dir(r.path(1))) })
		}, 0},
		"an rmdir later": {func(r *rig) { deleteAsOrthanc(r.path(1)); _ = syscall.Rmdir(filepath.Dir(r.path(1))) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			r := newRig(t)
			outage := backendtest.Fail(errOutage)
			r.faulty.Inject(backendtest.Each(backendtest.OpStat, outage), backendtest.Each(backendtest.OpRead, outage))
			c.do(r)
			if n := r.store.Counters.Unsettled.Load(); n != c.want {
				t.Errorf("%d deletes are doubted, want %d", n, c.want)
			}
			wantCalls(t, name, r, 0, backendtest.OpDelete)
		})
	}
}

// Only the last looks are remembered.
func TestFailedLooksAreBounded(t *testing.T) {
	var f failedLooks
	for n := range 2 * maxFailedLooks {
		f.add(context.Background(), attachment.UUID{byte(n), byte(n >> 8)})
	}
	if len(f.last) != maxFailedLooks {
		t.Errorf("%d are remembered", len(f.last))
	}
	if _, ok := f.take(context.Background(), 0, 0); ok {
		t.Error("the first one is remembered")
	}
	if _, ok := f.take(context.Background(), 255, 1); !ok {
		t.Error("the last one is forgotten")
	}
}

func onAnotherThread(do func()) {
	var done sync.WaitGroup
	done.Go(func() { // this one's is locked
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		do()
	})
	done.Wait()
}

// Deletes of files in several directories are under way at the same time. In one
// directory the kernel allows one at a time.
func TestUnlinksAtOnce(t *testing.T) {
	const files = 8
	r := newRig(t)
	for n := range files {
		mustStore(t, r.path(n), []byte("content"))
	}
	gate := backendtest.NewGate()
	r.faulty.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Hold(gate)))
	var unlinking sync.WaitGroup
	for n := range files {
		unlinking.Go(func() {
			if err := syscall.Unlink(r.path(n)); err != nil {
				t.Error(err)
			}
		})
	}
	for range files {
		<-gate.Arrived()
	}
	gate.Open()
	unlinking.Wait()
}
