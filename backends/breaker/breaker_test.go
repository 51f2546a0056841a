package breaker

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

var errOutage = errors.New("store is out of reach")

const (
	pause = 500 * time.Millisecond
	wait  = time.Second
)

// rig is a breaker around a bucket that can be taken away.
type rig struct {
	*Bucket
	faulty *backendtest.Faulty
	probes atomic.Int64
}

func newRig(t *testing.T) *rig {
	r := &rig{faulty: backendtest.NewFaulty(backendtest.NewMem())}
	probe := func(op backendtest.Op) func(context.Context) error {
		return func(ctx context.Context) error {
			r.probes.Add(1)
			if op == backendtest.OpCreate {
				_, err := r.faulty.Create(ctx, "probe", nil)
				return err
			}
			_, err := r.faulty.Stat(ctx, "probe")
			return err
		}
	}
	r.Bucket = New(r.faulty, Options{
		ProbeRead: probe(backendtest.OpStat), ProbeWrite: probe(backendtest.OpCreate),
		Patience: 5 * time.Second, Pause: pause, Wait: wait, Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { r.Close() })
	return r
}

func TestPromises(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Bucket { return newRig(t).Bucket })
}

func away(ops ...backendtest.Op) []backendtest.Rule {
	var rules []backendtest.Rule
	for _, op := range ops {
		rules = append(rules, backendtest.Each(op, backendtest.Fail(errOutage)))
	}
	return rules
}

// While the store is away, calls are refused after the wait, without a request of
// their own; when it is back, the next probe lets them through.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.faulty.Inject(away(backendtest.OpStat, backendtest.OpRead)...)
		if _, err := r.Stat(t.Context(), "x"); !errors.Is(err, errOutage) || errors.Is(err, backends.ErrNotSent) {
			t.Errorf("the first call: %v", err)
		}
		if read, write := r.Away(); read || write {
			t.Errorf("away before anybody is refused: read %v, write %v", read, write)
		}
		begin := time.Now()
		for range 5 {
			_, _, err := r.Read(t.Context(), "x", "", nil, 0)
			if !errors.Is(err, backends.ErrNotSent) || !errors.Is(err, errOutage) {
				t.Errorf("a later call: %v", err)
			}
		}
		if took := time.Since(begin); took != wait {
			t.Errorf("five refusals took %v", took)
		}
		if n := r.faulty.Calls(backendtest.OpRead); n != 0 {
			t.Errorf("%d calls reached the store", n)
		}
		if read, write := r.Away(); !read || write {
			t.Errorf("away: read %v, write %v", read, write)
		}
		if _, err := r.Create(t.Context(), "x", nil); err != nil { // the other circuit
			t.Error(err)
		}
		r.faulty.Inject()
		time.Sleep(2 * pause)
		if _, err := r.Stat(t.Context(), "x"); err != nil {
			t.Error(err)
		}
		if read, _ := r.Away(); read {
			t.Error("still open")
		}
	})
}

// An answer about an object, whatever it is, opens nothing; nor does a failure
// beside which others were answered, or a caller that gave up.
func TestStaysClosed(t *testing.T) {
	for name, make := range map[string]func(*testing.T, *rig){
		"missing": func(t *testing.T, r *rig) { _, _ = r.Stat(t.Context(), "missing") },
		"refused": func(t *testing.T, r *rig) {
			r.faulty.Inject(backendtest.Each(backendtest.OpStat, backendtest.Fail(fs.ErrPermission)))
			_, _ = r.Stat(t.Context(), "x")
		},
		"cancelled": func(t *testing.T, r *rig) {
			r.faulty.Inject(backendtest.Each(backendtest.OpStat, backendtest.Cancel(false)))
			_, _ = r.Stat(t.Context(), "x")
		},
		"ended before": func(t *testing.T, r *rig) {
			ctx, cancel := context.WithTimeout(t.Context(), 0)
			defer cancel()
			_, _ = r.Stat(ctx, "x")
		},
		"one of two": func(t *testing.T, r *rig) {
			r.faulty.Inject(backendtest.Nth(backendtest.OpStat, 1, func(context.Context, *backendtest.Request) error {
				if _, err := r.List(t.Context(), backends.ListOptions{}); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				return errOutage
			}))
			_, _ = r.Stat(t.Context(), "x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				time.Sleep(time.Second)
				make(t, r)
				if read, write := r.read.isOpen(), r.write.isOpen(); read || write || r.probes.Load() != 0 {
					t.Errorf("open: read %v, write %v; %d probes", read, write, r.probes.Load())
				}
			})
		})
	}
}

// A call that was under way when the circuit opened closes it with its answer,
// and a store that hangs is probed in patience.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		hang := backendtest.Hold(backendtest.NewGate())
		r.faulty.Inject(backendtest.Each(backendtest.OpCreate, hang))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := r.Create(ctx, "x", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(time.Minute - time.Millisecond)
		if n := r.probes.Load(); n != 11 { // each 5 s and the pause
			t.Errorf("%d probes in a minute", n)
		}
		if err := r.Delete(t.Context(), "x", ""); !errors.Is(err, backends.ErrNotSent) {
			t.Errorf("delete: %v", err)
		}
		r.faulty.Inject()
		time.Sleep(5*time.Second + 2*pause)
		if err := r.Delete(t.Context(), "x", ""); err != nil {
			t.Errorf("delete when it is back: %v", err)
		}
	})
}

// A call does not wait longer than its caller.
func TestWaitEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.faulty.Inject(away(backendtest.OpStat)...)
		_, _ = r.Stat(t.Context(), "x")
		ctx, cancel := context.WithTimeout(t.Context(), wait/2)
		defer cancel()
		begin := time.Now()
		if _, err := r.Stat(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != wait/2 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}
