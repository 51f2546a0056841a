package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends/dir"
	"orthanc-bucketfs/fs/attachment"
)

const (
	smallSize = 3000
	// How much longer than its deadlines a call may take on a loaded machine.
	grace = 20 * time.Second
)

func TestFaults(t *testing.T) {
	for name, start := range providers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			home := newMachine(t, p.bucket(t, p.url, 3), time.Minute, time.Minute)
			var trials []*trial
			for _, f := range faults() {
				for _, once := range []bool{true, false} {
					trials = append(trials, newTrial(t, f, once, home, p.line(t, f), p.completes))
				}
			}
			runAll(t, trials)
		})
	}
	t.Run("dir", func(t *testing.T) {
		t.Parallel()
		b, err := dir.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		closeBucket(t, b)
		home := newMachine(t, b, time.Minute, time.Minute)
		var trials []*trial
		for _, f := range faults() {
			for _, once := range []bool{true, false} {
				if f.call != nil {
					trials = append(trials, newTrial(t, f, once, home, lineToDisk(b, f), nil))
				}
			}
		}
		runAll(t, trials)
	})
}

// runAll runs the trials all at once, for they wait most of the time, and then
// reports one after the other.
func runAll(t *testing.T, trials []*trial) {
	t.Helper()
	var wg sync.WaitGroup
	for _, x := range trials {
		wg.Go(func() { x.run(t.Context()) })
	}
	wg.Wait()
	var orphans int64
	for _, x := range trials {
		orphans += x.machine.Counters.OrphansGone.Load()
		t.Run(x.name, func(t *testing.T) {
			c := &x.machine.Counters
			t.Logf("%d calls, %d failed; uploads settled %d, orphans deleted %d, reported %d", x.calls, x.failed,
				c.Settled.Load(), c.OrphansGone.Load(), c.OrphansLeft.Load())
			for _, err := range x.errors {
				t.Error(err)
			}
		})
	}
	if orphans == 0 {
		t.Error("no trial has left an orphan that was found: the faults do not do what they are for")
	}
}

// trial is what one machine goes through with one fault.
type trial struct {
	name      string
	fault     fault
	once      bool                     // each call meets the fault once; else with every request
	home      *machine                 // another machine, without faults
	machine   *machine                 // the one that has them
	leaver    *machine                 // another one that has them, and is stopped meanwhile
	line      line                     // between it and the bucket
	completes func(*http.Request) bool // nil if requests are no matter
	patience  time.Duration

	calls, failed int
	refused       []attachment.UUID // stores that failed
	stored        bool              // one of them is in the bucket nevertheless
	errors        []error           // what the test has to say
}

func newTrial(t *testing.T, f fault, once bool, home *machine, l line, completes func(*http.Request) bool) *trial {
	x := &trial{name: f.name + " always", fault: f, once: once, home: home, line: l, completes: completes, patience: grace}
	if once {
		x.name = f.name + " once"
	}
	if f.hangs && (!once || completes == nil) {
		x.patience = 2 * time.Second
	}
	deletes := x.patience
	if !once {
		deletes = 2 * time.Second
	}
	x.machine = newMachine(t, l.bucket, x.patience, deletes)
	x.leaver = newMachine(t, l.bucket, x.patience, deletes)
	return x
}

func (x *trial) errorf(format string, args ...any) {
	x.errors = append(x.errors, fmt.Errorf(format, args...))
}

func (x *trial) run(ctx context.Context) {
	kept := newUUID()
	if err := x.home.store(ctx, kept, content(kept, smallSize)); err != nil {
		x.errorf("before the fault: %w", err)
		return
	}
	x.storing(ctx, smallSize, nil)
	x.describing(ctx, kept)
	x.reading(ctx, kept, smallSize, nil)
	x.listing(ctx, kept)
	x.deleting(ctx, kept)
	if x.once && x.completes != nil {
		if u, ok := x.storing(ctx, largeSize, x.completes); ok {
			x.reading(ctx, u, largeSize, isRange)
		}
	}
	if !x.once {
		x.leaving(ctx)
	}
	x.line.heal()
	x.line.wait()
	x.settled(ctx)
}

// isRange tells whether a request is for the second half of an object or so.
func isRange(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Range") != "" && r.Header.Get("Range") != "bytes=0-"
}

// call makes a call that the fault happens to, and sees that it ends.
func (x *trial) call(what string, key string, size int64, kind func(*http.Request) bool, f func() error) error {
	if x.once {
		x.line.next(kind)
	} else {
		x.line.all()
	}
	begin := time.Now()
	err := f()
	// A store is an upload, and settling it.
	allowed := 2*attachment.Patience{Base: x.patience, BytesPerSecond: 2 << 20}.For(size) + grace
	if took := time.Since(begin); took > allowed {
		x.errorf("%s took %v, allowed are %v", what, took, allowed)
	}
	x.calls++
	if err == nil {
		return nil
	}
	x.failed++
	if x.fault.harmless || x.once && x.completes != nil && !x.fault.bytes {
		x.errorf("%s failed: %w", what, err)
	}
	if slices.ContainsFunc(news(), func(n error) bool { return errors.Is(err, n) }) {
		x.errorf("%s: trouble is taken for news: %w", what, err)
	}
	if !names(err, key) {
		x.errorf("%s: the error does not name %s: %w", what, key, err)
	}
	return err
}

func (x *trial) storing(ctx context.Context, size int, kind func(*http.Request) bool) (u attachment.UUID, ok bool) {
	u = newUUID()
	err := x.call("storing", u.Key(), int64(size), kind, func() error {
		return x.machine.store(ctx, u, content(u, size))
	})
	if err != nil {
		x.refused = append(x.refused, u)
		x.line.wait()
		x.stored = x.present(ctx, u) || x.stored
		return u, false
	}
	got, err := x.home.read(ctx, u)
	if err != nil || !bytes.Equal(got, content(u, size)) {
		x.errorf("an acknowledged file of %d bytes is lost: %d bytes, error %w", size, len(got), err)
	}
	return u, true
}

func (x *trial) describing(ctx context.Context, u attachment.UUID) {
	var got attachment.Info
	err := x.call("describing", u.Key(), 0, nil, func() (err error) {
		got, err = x.machine.Stat(ctx, u)
		return err
	})
	if err == nil && (got.Size != smallSize || got.UUID != u) {
		x.errorf("described as %+v", got)
	}
}

func (x *trial) reading(ctx context.Context, u attachment.UUID, size int, kind func(*http.Request) bool) {
	info, err := x.home.Stat(ctx, u)
	if err != nil {
		x.errorf("without a fault: %w", err)
		return
	}
	var got []byte
	err = x.call("reading", u.Key(), int64(size), kind, func() (err error) {
		got, err = x.machine.open(ctx, info)
		return err
	})
	if err == nil && !bytes.Equal(got, content(u, size)) {
		x.errorf("wrong bytes were read")
	}
}

func (x *trial) listing(ctx context.Context, u attachment.UUID) {
	var got []attachment.UUID
	err := x.call("listing", fmt.Sprintf("%02x/", u[0]), 0, nil, func() (err error) {
		got, err = x.machine.Names(ctx, u[0], u[1])
		return err
	})
	if err == nil && !slices.Contains(got, u) {
		x.errorf("a file is missing in a listing that succeeded")
	}
}

func (x *trial) deleting(ctx context.Context, u attachment.UUID) {
	err := x.call("deleting", u.Key(), 0, nil, func() error { return x.machine.Delete(ctx, u) })
	if failed := x.machine.Counters.FailedDeletes.Load(); (failed == 1) != (err != nil) {
		x.errorf("%d deletes are counted as failed, error %v", failed, err)
	}
	if err != nil {
		return
	}
	if _, err := x.home.Stat(ctx, u); !errors.Is(err, fs.ErrNotExist) {
		x.errorf("after a delete that succeeded: error %v", err)
	}
}

// leaving stops a machine while the fault lasts: what an upload that failed has
// left in the bucket can only be reported.
func (x *trial) leaving(ctx context.Context) {
	u := newUUID()
	err := x.call("storing", u.Key(), smallSize, nil, func() error { return x.leaver.store(ctx, u, content(u, smallSize)) })
	x.leaver.Close()
	x.line.wait()
	if err == nil || !x.present(ctx, u) {
		return
	}
	if left := x.leaver.Counters.OrphansLeft.Load(); left != 1 || !x.leaver.log.has(u) {
		x.errorf("the machine was stopped, %s is left, and was not reported; counted are %d", u.Key(), left)
	}
}

// settled waits until the objects of failed uploads are gone, or reported.
func (x *trial) settled(ctx context.Context) {
	for _, u := range x.refused {
		for end := time.Now().Add(time.Minute); time.Now().Before(end) && x.present(ctx, u) && !x.machine.log.has(u); {
			time.Sleep(20 * time.Millisecond)
		}
	}
	x.machine.Close()
	for _, u := range x.refused {
		if x.present(ctx, u) && !x.machine.log.has(u) {
			x.errorf("the object of a failed upload is left, and nobody was told: %s", u.Key())
		}
	}
	c := &x.machine.Counters
	if x.stored && c.OrphansGone.Load()+c.OrphansLeft.Load() == 0 {
		x.errorf("an orphan was in the bucket, and is not counted")
	}
}

// present tells whether there is an object, as another machine sees it.
func (x *trial) present(ctx context.Context, u attachment.UUID) bool {
	_, err := x.home.Stat(ctx, u)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.errorf("without a fault: %w", err)
	}
	return err == nil
}
