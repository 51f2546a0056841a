package attachment

import (
	"context"
	"io/fs"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
)

func TestProbe(t *testing.T) {
	r := newRig(t, Sealed(testRing(t, 1)))
	if err := r.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	page, err := r.mem.List(t.Context(), backends.ListOptions{})
	if err != nil || len(page.Objects) != 0 {
		t.Errorf("the probe left %v (%v)", page.Objects, err)
	}
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
