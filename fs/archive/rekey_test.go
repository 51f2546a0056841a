package archive

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"testing"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
)

func (r *rig) rekey(t *testing.T, s *attachment.Store, change func(*Rekeyer)) (Rekeyed, error) {
	t.Helper()
	r.failures, r.looked = nil, 0
	k := Rekeyer{Store: s, Current: 2, Scope: Scope{Jobs: 4}, Wait: atOnce, Failed: r.failed, Done: r.done}
	if change != nil {
		change(&k)
	}
	return k.Run(t.Context())
}

func wantUnder(t *testing.T, got Rekeyed, want map[uint32]int64) {
	t.Helper()
	if !maps.Equal(got.Under, want) {
		t.Errorf("under %v, want %v", got.Under, want)
	}
}

func TestRekey(t *testing.T) {
	r := newRig()
	r.fill(t, r.store(t, 1), 20)
	s := r.store(t, 2, 1)
	before := r.body(t, uuid(t, 4).Key())

	dry, err := r.rekey(t, s, func(k *Rekeyer) { k.DryRun = true })
	if err != nil || dry.Resealed != 20 {
		t.Errorf("%+v, %v", dry, err)
	}
	wantUnder(t, dry, map[uint32]int64{1: 20})
	if n := r.faulty.Calls(backendtest.OpReplace); n != 0 {
		t.Errorf("a dry run has replaced %d objects", n)
	}

	done, err := r.rekey(t, s, nil)
	if err != nil || done.Resealed != 20 || done.Failed != 0 || len(done.Left(2)) != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	wantUnder(t, done, map[uint32]int64{2: 20})
	only := r.store(t, 2) // without the old key
	for i := range 20 {
		r.wantFile(t, only, i)
	}
	// The data key is another one: what the old master key knew of it is of no use.
	after := r.body(t, uuid(t, 4).Key())
	if string(before[crypto.HeaderSize:]) == string(after[crypto.HeaderSize:]) {
		t.Error("the content was not sealed anew")
	}

	again, err := r.rekey(t, s, nil)
	if err != nil || again.Resealed != 0 {
		t.Errorf("the second time: %+v, %v", again, err)
	}
}

// What is damaged is left as it is, and told.
func TestRekeyLeavesDamageAlone(t *testing.T) {
	r := newRig()
	r.fill(t, r.store(t, 1), 5)
	flipped := r.body(t, uuid(t, 3).Key())
	flipped[80] ^= 1
	r.put(t, uuid(t, 3).Key(), flipped)
	done, err := r.rekey(t, r.store(t, 2, 1), nil)
	if err != nil || done.Failed != 1 || done.Resealed != 4 || len(r.failures) != 1 || !errors.Is(r.failures[0].Err, crypto.ErrCorrupt) {
		t.Errorf("%+v, %v, %v", done, err, r.failures)
	}
	wantUnder(t, done, map[uint32]int64{2: 4, 1: 1})
	if string(r.body(t, uuid(t, 3).Key())) != string(flipped) {
		t.Error("the damaged object has changed")
	}
}

// meanwhile lets something happen right before the first Replace of file n.
func (r *rig) meanwhile(t *testing.T, n int, happen func(ctx context.Context)) {
	once := false
	r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
		if c.Op != backendtest.OpReplace || c.Key != uuid(t, n).Key() || once {
			return nil
		}
		once = true
		return func(ctx context.Context, q *backendtest.Request) error {
			happen(ctx)
			return q.Do(ctx)
		}
	})
}

func TestRekeyOfADeletedFile(t *testing.T) {
	r := newRig()
	r.fill(t, r.store(t, 1), 5)
	r.meanwhile(t, 3, func(ctx context.Context) { _ = r.mem.Delete(ctx, uuid(t, 3).Key(), "") })
	done, err := r.rekey(t, r.store(t, 2, 1), nil)
	if err != nil || done.Gone != 1 || done.Failed != 0 || done.Resealed != 4 {
		t.Errorf("%+v, %v, %v", done, err, r.failures)
	}
	if _, err := r.mem.Stat(t.Context(), uuid(t, 3).Key()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file has come back: %v", err)
	}
}

// Another run has been faster: its object stays.
func TestRekeyByTwo(t *testing.T) {
	r := newRig()
	r.fill(t, r.store(t, 1), 5)
	other := r.store(t, 2, 1)
	r.meanwhile(t, 3, func(ctx context.Context) {
		for rec, err := range other.Records(ctx, uuid(t, 3).Key()) {
			if err == nil {
				err = other.Reseal(ctx, rec, false)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	done, err := r.rekey(t, r.store(t, 2, 1), nil)
	if err != nil || done.Failed != 0 || done.Resealed != 4 {
		t.Errorf("%+v, %v, %v", done, err, r.failures)
	}
	wantUnder(t, done, map[uint32]int64{2: 5})
	for i := range 5 {
		r.wantFile(t, r.store(t, 2), i)
	}
}

// A lost answer is settled by reading back; an outage leaves what was there.
func TestRekeyWithFaults(t *testing.T) {
	r := newRig()
	r.fill(t, r.store(t, 1), 6)
	away := errors.New("no route")
	fault := func(n int, f backendtest.Fault) backendtest.Rule {
		return func(c backendtest.Call) backendtest.Fault {
			if c.Op == backendtest.OpReplace && c.Key == uuid(t, n).Key() {
				return f
			}
			return nil
		}
	}
	r.faulty.Inject(fault(2, backendtest.LoseAnswer(away)), fault(4, backendtest.Fail(away)))
	done, err := r.rekey(t, r.store(t, 2, 1), nil)
	if err != nil || done.Failed != 1 || done.Resealed != 5 {
		t.Errorf("%+v, %v, %v", done, err, r.failures)
	}
	wantUnder(t, done, map[uint32]int64{2: 5, 1: 1})
	r.faulty.Reset()
	done, err = r.rekey(t, r.store(t, 2, 1), nil)
	if err != nil || done.Failed != 0 || done.Resealed != 1 {
		t.Errorf("the second time: %+v, %v", done, err)
	}
	for i := range 6 {
		r.wantFile(t, r.store(t, 2), i)
	}
}

// What was stored is read back, and believed only then.
func TestRekeyReadsBack(t *testing.T) {
	r := newRig()
	r.fill(t, r.store(t, 1), 3)
	replaced := false
	r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
		switch {
		case c.Key != uuid(t, 2).Key():
			return nil
		case c.Op == backendtest.OpReplace:
			replaced = true
		case c.Op == backendtest.OpRead && replaced && c.Len > 6:
			return backendtest.FlipBit(100)
		}
		return nil
	})
	done, err := r.rekey(t, r.store(t, 2, 1), func(k *Rekeyer) { k.Scope.Jobs = 1 })
	if err != nil || done.Failed != 1 || done.Resealed != 2 || len(r.failures) != 1 || !r.failures[0].Bad() {
		t.Errorf("%+v, %v, %v", done, err, r.failures)
	}
}

func TestRekeyNeedsReplace(t *testing.T) {
	for name, fault := range map[string]backendtest.Fault{
		"unsupported": backendtest.Fail(errors.ErrUnsupported),
		"blind": func(ctx context.Context, q *backendtest.Request) error { // replaces whatever is there
			if err := q.Do(ctx); err != nil {
				return nil
			}
			return nil
		},
	} {
		r := newRig()
		r.fill(t, r.store(t, 1), 3)
		r.faulty.Inject(backendtest.Each(backendtest.OpReplace, fault))
		if done, err := r.rekey(t, r.store(t, 2, 1), nil); err == nil || r.looked != 0 {
			t.Errorf("%s: %+v, looked at %d", name, done, r.looked)
		}
		if n, err := r.store(t, 2, 1).SweepProbes(t.Context(), farFuture(), true); n != 0 || err != nil {
			t.Errorf("%s: %d probes are left, %v", name, n, err)
		}
	}
}

func TestSealPlaintext(t *testing.T) {
	r := newRig()
	r.fill(t, r.store(t, 1), 3)
	r.put(t, uuid(t, 7).Key(), content(7))
	r.put(t, uuid(t, 8).String()+".dcm", content(8))
	damaged := append([]byte("A1"), make([]byte, 200)...)
	r.put(t, uuid(t, 9).Key(), damaged)

	without, err := r.rekey(t, r.mixed(t, true, 2, 1), nil)
	if err != nil || without.Plain != 2 || without.Failed != 3 {
		t.Errorf("%+v, %v", without, err)
	}
	done, err := r.rekey(t, r.mixed(t, true, 2, 1), func(k *Rekeyer) { k.SealPlaintext = true })
	if err != nil || done.Plain != 0 || done.Failed != 1 || done.Resealed != 2 {
		t.Errorf("%+v, %v, %v", done, err, r.failures)
	}
	strict := r.store(t, 2)
	for _, i := range []int{0, 1, 2, 7, 8} {
		r.wantFile(t, strict, i)
	}
	if string(r.body(t, uuid(t, 9).Key())) != string(damaged) {
		t.Error("what begins as an envelope and is none was sealed")
	}
}
