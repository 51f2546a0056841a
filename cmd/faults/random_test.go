package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/wire"
	"orthanc-bucketfs/fs/attachment"
)

const (
	workers   = 32
	faultRate = 0.08  // of requests
	largeRate = 0.005 // of files
)

// number returns the value of a variable of the environment.
func number(t *testing.T, name string, or uint64) uint64 {
	t.Helper()
	text, ok := os.LookupEnv(name)
	if !ok {
		return or
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRandom makes random calls from two machines on one bucket while every
// twelfth request or so has a fault, and then sees what is in the bucket.
func TestRandom(t *testing.T) {
	ops, seed := number(t, "FAULTS_OPS", 1500), number(t, "FAULTS_SEED", 3)
	for name, start := range providers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			proxy := wire.New(t, p.url)
			plain := p.bucket(t, p.url, 3)
			w := &world{
				home: newMachine(t, plain, time.Minute, time.Minute),
				machines: []*machine{
					newMachine(t, p.bucket(t, proxy.URL, 0), grace, grace/4),
					newMachine(t, p.bucket(t, proxy.URL, 2), grace, grace/4),
				},
			}
			t.Logf("seed %d", seed)
			proxy.Inject(w.randomly(rand.New(rand.NewPCG(seed, 0))))
			w.work(t.Context(), int(ops), seed)
			proxy.Inject(nil)
			proxy.Wait()
			w.settle(t.Context())
			w.check(t.Context(), plain)
			for _, err := range w.errors {
				t.Error(err)
			}
			t.Log(w.summary(proxy))
		})
	}
}

// randomly returns a function that gives a request in twelve or so a fault. A
// hanging request costs seconds, and so is rare.
func (w *world) randomly(rng *rand.Rand) func(*http.Request) wire.Fault {
	late := func(d time.Duration) wire.Fault {
		return func(rw http.ResponseWriter, r *http.Request, server http.Handler) {
			w.late.RLock()
			defer w.late.RUnlock()
			wire.Late(d)(rw, r, server)
		}
	}
	common := []wire.Fault{
		wire.Refuse(http.StatusServiceUnavailable, ""), wire.Refuse(http.StatusTooManyRequests, ""),
		wire.ResetBefore, wire.ResetAfter, wire.CutAnswer, wire.LoseAnswer, wire.LoseAnswer,
		late(50 * time.Millisecond), late(300 * time.Millisecond), wire.Delay(20 * time.Millisecond), wire.Damage,
	}
	rare := []wire.Fault{wire.Hang, wire.HangAfter}
	return func(*http.Request) wire.Fault {
		if rng.Float64() >= faultRate {
			return nil
		}
		if rng.IntN(20) == 0 {
			return rare[rng.IntN(len(rare))]
		}
		return common[rng.IntN(len(common))]
	}
}

// awaitLate returns when all requests that were late are over.
func (w *world) awaitLate() {
	w.late.Lock()
	defer w.late.Unlock()
}

// file is an attachment that somebody has tried to store.
type file struct {
	uuid    attachment.UUID
	size    int
	refused bool     // the store failed
	deleted bool     // a delete has succeeded
	doubted bool     // a delete has failed
	machine *machine // that has stored it
}

// world is a bucket, and those who work on it.
type world struct {
	home     *machine // without faults
	machines []*machine

	// late is held for reading while a request is on its way to the server whose
	// client has been told that it failed.
	late sync.RWMutex

	calls, failures, refusals, failedDeletes atomic.Int64

	mu     sync.Mutex // guards the fields below
	files  []*file
	errors []error
}

func (w *world) errorf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errors = append(w.errors, fmt.Errorf(format, args...))
}

func (w *world) work(ctx context.Context, ops int, seed uint64) {
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			k := &worker{world: w, rng: rand.New(rand.NewPCG(seed, uint64(i)+1)), machine: w.machines[i%len(w.machines)]}
			for range (ops + workers - 1) / workers {
				k.step(ctx)
			}
		})
	}
	wg.Wait()
}

// worker makes one call after the other. Its files are its own.
type worker struct {
	*world
	rng     *rand.Rand
	machine *machine
	files   []*file // that are there
}

func (k *worker) step(ctx context.Context) {
	k.calls.Add(1)
	if len(k.files) == 0 {
		k.store(ctx)
		return
	}
	i := k.rng.IntN(len(k.files))
	switch n := k.rng.IntN(100); {
	case n < 35:
		k.store(ctx)
	case n < 65:
		k.read(ctx, k.files[i])
	case n < 80:
		k.stat(ctx, k.files[i])
	case n < 90:
		k.list(ctx, k.files[i])
	default:
		k.remove(ctx, i)
	}
}

// failed notes the error of a call on a file that is there.
func (k *worker) failed(what string, f *file, key string, err error) {
	k.failures.Add(1)
	for _, n := range news() {
		// The file of a delete that failed may be gone.
		if errors.Is(err, n) && !(f.doubted && n == fs.ErrNotExist) {
			k.errorf("%s: trouble is taken for news: %w", what, err)
		}
	}
	if !names(err, key) {
		k.errorf("%s: the error does not name %s: %w", what, key, err)
	}
}

func (k *worker) store(ctx context.Context) {
	f := &file{size: k.rng.IntN(4000), machine: k.machine}
	for i := range f.uuid {
		f.uuid[i] = byte(k.rng.Uint32())
	}
	if k.rng.Float64() < largeRate {
		f.size = largeSize
	}
	err := k.machine.store(ctx, f.uuid, content(f.uuid, f.size))
	if err != nil {
		f.refused = true
		k.refusals.Add(1)
		k.failed("storing", f, f.uuid.Key(), err)
	} else {
		k.files = append(k.files, f)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.world.files = append(k.world.files, f)
}

func (k *worker) read(ctx context.Context, f *file) {
	got, err := k.machine.read(ctx, f.uuid)
	if err != nil {
		k.failed("reading", f, f.uuid.Key(), err)
	} else if !bytes.Equal(got, content(f.uuid, f.size)) {
		k.errorf("wrong bytes were read of %s", f.uuid.Key())
	}
}

func (k *worker) stat(ctx context.Context, f *file) {
	info, err := k.machine.Stat(ctx, f.uuid)
	if err != nil {
		k.failed("describing", f, f.uuid.Key(), err)
	} else if info.Size != int64(f.size) {
		k.errorf("%s has %d bytes, described are %d", f.uuid.Key(), f.size, info.Size)
	}
}

func (k *worker) list(ctx context.Context, f *file) {
	uuids, err := k.machine.Names(ctx, f.uuid[0], f.uuid[1])
	if err != nil {
		k.failed("listing", f, fmt.Sprintf("%02x/", f.uuid[0]), err)
		return
	}
	for _, u := range uuids {
		if u == f.uuid {
			return
		}
	}
	if !f.doubted {
		k.errorf("%s is missing in a listing that succeeded", f.uuid.Key())
	}
}

// remove waits for late requests: an upload that was repeated, and comes once
// more after the delete, makes an object that nobody can know of.
func (k *worker) remove(ctx context.Context, i int) {
	k.awaitLate()
	f := k.files[i]
	if err := k.machine.Delete(ctx, f.uuid); err != nil {
		f.doubted = true
		k.failedDeletes.Add(1)
		k.failed("deleting", f, f.uuid.Key(), err)
		return
	}
	f.deleted = true
	k.files = append(k.files[:i:i], k.files[i+1:]...)
}

// unwanted reports that f is to be gone in the end, or reported.
func (f *file) unwanted() bool { return f.refused || f.doubted }

// settle waits until the objects of failed uploads and deletes are gone, or reported.
func (w *world) settle(ctx context.Context) {
	for _, f := range w.files {
		for end := time.Now().Add(2 * time.Minute); f.unwanted() && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if _, err := w.home.Stat(ctx, f.uuid); errors.Is(err, fs.ErrNotExist) || f.machine.log.has(f.uuid) {
				break
			}
		}
	}
	for _, m := range w.machines {
		m.Close()
	}
}

// check compares what is in the bucket with what the machines were told.
func (w *world) check(ctx context.Context, bucket backends.Bucket) {
	explained := map[string]bool{}
	for _, f := range w.files {
		got, err := w.home.read(ctx, f.uuid)
		there := err == nil && bytes.Equal(got, content(f.uuid, f.size))
		absent := errors.Is(err, fs.ErrNotExist)
		explained[f.uuid.Key()] = !f.deleted && (!f.unwanted() || f.machine.log.has(f.uuid))
		switch {
		case f.unwanted() || f.deleted:
			if !absent && !explained[f.uuid.Key()] {
				w.errorf("%s is in the bucket, and nobody was told; refused: %v, deleted: %v, or only asked to: %v, error %w", f.uuid.Key(), f.refused, f.deleted, f.doubted, err)
			}
		case !there:
			w.errorf("%s was acknowledged, and is lost: %w", f.uuid.Key(), err)
		}
	}
	for obj, err := range backends.All(ctx, bucket, "") {
		if err != nil {
			w.errorf("listing the bucket: %w", err)
		} else if !explained[obj.Key] {
			w.errorf("%s is in the bucket, and nobody was told", obj.Key)
		}
	}
	var counted int64
	for _, m := range w.machines {
		counted += m.Counters.FailedDeletes.Load()
	}
	if failed := w.failedDeletes.Load(); counted != failed {
		w.errorf("%d deletes are counted as failed, want %d", counted, failed)
	}
}

func (w *world) summary(proxy *wire.Proxy) string {
	var settled, gone, left int64
	for _, m := range w.machines {
		settled += m.Counters.Settled.Load()
		gone += m.Counters.OrphansGone.Load()
		left += m.Counters.OrphansLeft.Load()
	}
	stored := int64(len(w.files)) - w.refusals.Load()
	return fmt.Sprintf("%d calls in %d requests, %d calls failed; %d files stored, %d refused; uploads settled %d, orphans deleted %d, reported %d; deletes failed %d",
		w.calls.Load(), proxy.Requests(), w.failures.Load(), stored, w.refusals.Load(), settled, gone, left, w.failedDeletes.Load())
}
