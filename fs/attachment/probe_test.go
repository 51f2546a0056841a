package attachment

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
)

func TestProbe(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	if err := r.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	wantEmpty(t, r)
	r.done(t)
}

// A bucket that cannot do one of the things is found out, and the probe's
// object is deleted all the same.
func TestProbeFindsWhatIsMissing(t *testing.T) {
	quiet := func(context.Context, *backendtest.Request) error { return nil }
	tests := map[string]backendtest.Rule{
		"create refused":   backendtest.Nth(backendtest.OpCreate, 1, backendtest.Fail(fs.ErrPermission)),
		"overwrites":       backendtest.Nth(backendtest.OpCreate, 2, quiet),
		"read refused":     backendtest.Each(backendtest.OpRead, backendtest.Fail(fs.ErrPermission)),
		"reads other":      backendtest.Each(backendtest.OpRead, backendtest.FlipBit(80)),
		"reads nothing":    backendtest.Each(backendtest.OpRead, quiet),
		"list refused":     backendtest.Each(backendtest.OpList, backendtest.Fail(fs.ErrPermission)),
		"lists nothing":    backendtest.Each(backendtest.OpList, quiet),
		"delete refused":   backendtest.Each(backendtest.OpDelete, backendtest.Fail(fs.ErrPermission)),
		"deletes nothing":  backendtest.Each(backendtest.OpDelete, quiet),
		"missing is other": backendtest.Each(backendtest.OpStat, backendtest.Fail(fs.ErrPermission)),
	}
	for name, rule := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Sealed(testRing(t, 1)))
			r.faulty.Inject(rule)
			if err := r.Probe(t.Context()); err == nil {
				t.Error("the probe succeeded")
			}
			if deletes := r.faulty.Calls(backendtest.OpDelete); name != "create refused" && deletes == 0 {
				t.Error("the probe did not clean up")
			}
			r.done(t)
		})
	}
}

func TestSample(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	if opened, failures, err := r.Sample(t.Context(), 3); opened != 0 || len(failures) != 0 || err != nil {
		t.Errorf("an empty bucket: %d opened, %v, %v", opened, failures, err)
	}
	const dirs = 10
	for i := range dirs {
		store(t, r, uuidIn(t, byte(i), 0, 1), testContent(9000, 1))
		store(t, r, uuidIn(t, byte(i), 0, 2), testContent(10, 1)) // the one to be opened
	}
	if _, err := r.mem.Create(t.Context(), "00/stray", nil); err != nil {
		t.Fatal(err)
	}
	r.faulty.Reset()
	if opened, failures, err := r.Sample(t.Context(), 3); opened != 3 || len(failures) != 0 || err != nil {
		t.Errorf("good objects: %d opened, %v, %v", opened, failures, err)
	}
	if n := r.faulty.Calls(); n != 1+3+3 {
		t.Errorf("%d requests, want 7", n)
	}
	// One damaged object is reported, and does not speak for the others.
	r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
		if c.Op == backendtest.OpRead && c.Key == uuidIn(t, 0, 0, 2).Key() {
			return backendtest.FlipBit(80)
		}
		return nil
	})
	opened, failures, err := r.Sample(t.Context(), 3)
	if opened != 2 || len(failures) != 1 || err != nil {
		t.Fatalf("one damaged: %d opened, %v, %v", opened, failures, err)
	}
	wantErr(t, failures[0], crypto.ErrCorrupt)
	r.faulty.Reset()
	r.codec = Sealed(testRing(t, 2))
	opened, failures, err = r.Sample(t.Context(), 3)
	if opened != 0 || len(failures) != 3 || err != nil {
		t.Fatalf("wrong key: %d opened, %v, %v", opened, failures, err)
	}
	wantErr(t, failures[0], crypto.ErrUnknownKey)
	r.done(t)
}

// wrongCodec seals, and opens to something else or not at all.
type wrongCodec struct {
	Codec
	content []byte
	err     error
}

func (c wrongCodec) Open(UUID, backends.Object, []byte) ([]byte, error) { return c.content, c.err }

// What was sealed has to open, too.
func TestProbeOpensWhatItSealed(t *testing.T) {
	r := newRig(t, nil)
	for _, codec := range []wrongCodec{{content: []byte("other")}, {err: crypto.ErrCorrupt}} {
		codec.Codec = Sealed(testRing(t, 1))
		r.codec = codec
		if err := r.Probe(t.Context()); err == nil || !errors.Is(err, codec.err) && codec.err != nil {
			t.Errorf("got %v", err)
		}
	}
	wantEmpty(t, r)
	r.done(t)
}

// A probe that is interrupted, or whose answer is lost, leaves nothing behind,
// and nothing appears later.
func TestProbeInterrupted(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	ctx, cancel := context.WithCancel(t.Context())
	created := errors.New("not created")
	r.faulty.Inject(backendtest.Nth(backendtest.OpCreate, 1, func(ctx context.Context, q *backendtest.Request) error {
		cancel()
		created = q.Do(ctx)
		return created
	}))
	wantErr(t, r.Probe(ctx), context.Canceled)
	if created != nil {
		t.Errorf("a creation under way was given up: %v", created)
	}
	wantEmpty(t, r)
	r.faulty.Reset()
	r.faulty.Inject(backendtest.Each(backendtest.OpCreate, backendtest.LoseAnswer(io.ErrUnexpectedEOF)))
	wantErr(t, r.Probe(t.Context()), io.ErrUnexpectedEOF)
	wantEmpty(t, r)
	r.done(t)
}

func wantEmpty(t *testing.T, r *rig) {
	t.Helper()
	page, err := r.mem.List(t.Context(), backends.ListOptions{})
	if err != nil || len(page.Objects) != 0 {
		t.Errorf("left in the bucket: %v (%v)", page.Objects, err)
	}
}

func TestSweepProbes(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	for _, key := range []string{ProbePrefix + "A", ProbePrefix + "B", "orthanc-bucketfs-other"} {
		if _, err := r.mem.Create(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for _, test := range []struct {
		before time.Time
		keep   bool
		n      int
		left   int
	}{
		{now.Add(-time.Hour), false, 0, 3},
		{now.Add(time.Hour), true, 2, 3},
		{now.Add(time.Hour), false, 2, 1},
		{now.Add(time.Hour), false, 0, 1},
	} {
		n, err := r.SweepProbes(t.Context(), test.before, test.keep)
		page, listed := r.mem.List(t.Context(), backends.ListOptions{})
		if n != test.n || err != nil || len(page.Objects) != test.left || listed != nil {
			t.Errorf("%+v: %d, %v, left %v (%v)", test, n, err, page.Objects, listed)
		}
	}
	r.faulty.Inject(backendtest.Each(backendtest.OpList, backendtest.Fail(fs.ErrPermission)))
	if _, err := r.SweepProbes(t.Context(), now, false); err == nil {
		t.Error("a listing that fails is no error")
	}
	r.done(t)
}
