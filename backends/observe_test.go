package backends_test

import (
	"errors"
	"io/fs"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func TestObservedKeepsThePromises(t *testing.T) {
	backendtest.Run(t, func(*testing.T) backends.Bucket {
		return backends.Observed(backendtest.NewMem(), func(backends.Request) {})
	})
}

func TestObservedTellsOfEveryCall(t *testing.T) {
	var got []backends.Request
	b := backends.Observed(backendtest.NewMem(), func(r backends.Request) { got = append(got, r) })
	ctx := t.Context()
	for _, call := range []func() error{
		func() error { _, err := b.Create(ctx, "x", make([]byte, 7)); return err },
		func() error { _, err := b.Stat(ctx, "y"); return err },
		func() error { _, _, err := b.Read(ctx, "x", "", make([]byte, 9), 2); return err },
		func() error { _, err := b.List(ctx, backends.ListOptions{}); return err },
		func() error { return b.Delete(ctx, "x", "") },
	} {
		_ = call()
	}
	want := []backends.Request{
		{Method: "create", Sent: 7}, {Method: "stat", Err: fs.ErrNotExist}, {Method: "read", Received: 5},
		{Method: "list"}, {Method: "delete"},
	}
	if len(got) != len(want) {
		t.Fatalf("told of %d calls, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Method != w.Method || g.Sent != w.Sent || g.Received != w.Received || !errors.Is(g.Err, w.Err) || g.Duration <= 0 {
			t.Errorf("call %d: told %+v, want %+v", i, g, w)
		}
	}
}
