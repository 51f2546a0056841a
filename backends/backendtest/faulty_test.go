package backendtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"testing"

	"orthanc-bucketfs/backends"
)

var errFault = errors.New("fault")

// newFaulty returns a Faulty bucket around a Faulty bucket without rules,
// whose counts tell what has reached the store. It holds one object, "x".
func newFaulty(t *testing.T) (outer, inner *Faulty, body []byte) {
	t.Helper()
	inner = NewFaulty(NewMem())
	body = newBody(1, 1000)
	if _, err := inner.Create(t.Context(), "x", body); err != nil {
		t.Fatal(err)
	}
	inner.Reset()
	return NewFaulty(inner), inner, body
}

// callAll makes one call of each op.
func callAll(ctx context.Context, b backends.Bucket) map[Op]error {
	_, stat := b.Stat(ctx, "x")
	_, _, read := b.Read(ctx, "x", "", make([]byte, 10), 0)
	_, create := b.Create(ctx, "new", []byte("body"))
	_, list := b.List(ctx, backends.ListOptions{Prefix: "x"})
	return map[Op]error{
		OpStat: stat, OpRead: read, OpCreate: create, OpList: list, OpDelete: b.Delete(ctx, "new", ""),
	}
}

func TestFailNeverReachesTheStore(t *testing.T) {
	for _, op := range []Op{OpStat, OpRead, OpCreate, OpDelete, OpList} {
		outer, inner, _ := newFaulty(t)
		outer.Inject(Each(op, Fail(errFault)))
		for called, err := range callAll(t.Context(), outer) {
			want := error(nil)
			if called == op {
				want = errFault
			}
			if !errors.Is(err, want) {
				t.Errorf("%s while %s fails: %v", called, op, err)
			}
			var wrapped *backends.Error
			if err != nil && (!errors.As(err, &wrapped) || wrapped.Op != string(op)) {
				t.Errorf("%s: error %v does not tell the call", op, err)
			}
		}
		if n := inner.Calls(op); n != 0 {
			t.Errorf("%s has reached the store %d times", op, n)
		}
		if n := inner.Calls(); n != 4 {
			t.Errorf("while %s fails %d calls have reached the store, want the 4 others", op, n)
		}
	}
}

func TestNthAndCounts(t *testing.T) {
	outer, inner, _ := newFaulty(t)
	outer.Inject(Nth(OpStat, 2, Fail(errFault)), Nth(OpStat, 2, Fail(io.EOF)), Nth(OpStat, 4, Fail(io.EOF)))
	for i, want := range []error{nil, errFault, nil, io.EOF, nil} {
		if _, err := outer.Stat(t.Context(), "x"); !errors.Is(err, want) {
			t.Errorf("call %d: got error %v, want %v", i+1, err, want)
		}
	}
	if o, i := outer.Calls(OpStat), inner.Calls(OpStat); o != 5 || i != 3 {
		t.Errorf("counted %d calls and %d at the store, want 5 and 3", o, i)
	}
	if o := outer.Calls(OpRead, OpList); o != 0 {
		t.Errorf("counted %d calls of other ops", o)
	}
	outer.Reset()
	if n := outer.Calls(); n != 0 {
		t.Errorf("counted %d calls after Reset", n)
	}
	for range 2 {
		if _, err := outer.Stat(t.Context(), "x"); err != nil {
			t.Errorf("after Reset: %v", err)
		}
	}
}

func TestRuleSeesTheCall(t *testing.T) {
	outer, _, _ := newFaulty(t)
	var got []Call
	outer.Inject(func(c Call) Fault {
		got = append(got, c)
		return nil
	})
	_, _, _ = outer.Read(t.Context(), "x", "", make([]byte, 20), 30)
	_, _ = outer.Create(t.Context(), "y", make([]byte, 40))
	_, _ = outer.List(t.Context(), backends.ListOptions{Prefix: "p/"})
	want := []Call{
		{Op: OpRead, N: 1, Key: "x", Off: 30, Len: 20},
		{Op: OpCreate, N: 1, Key: "y", Len: 40},
		{Op: OpList, N: 1, Key: "p/"},
	}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("call %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestLoseAnswer(t *testing.T) {
	outer, inner, _ := newFaulty(t)
	outer.Inject(Each(OpCreate, LoseAnswer(errFault)), Each(OpDelete, LoseAnswer(errFault)), Each(OpRead, LoseAnswer(errFault)))
	obj, err := outer.Create(t.Context(), "new", []byte("body"))
	if !errors.Is(err, errFault) || obj != (backends.Object{}) {
		t.Errorf("Create: got %+v, error %v", obj, err)
	}
	if _, err := inner.Stat(t.Context(), "new"); err != nil {
		t.Errorf("Create was not carried out: %v", err)
	}
	if _, err := outer.Create(t.Context(), "new", nil); !errors.Is(err, errFault) || errors.Is(err, fs.ErrExist) {
		t.Errorf("Create of a taken key: got error %v", err)
	}
	if err := outer.Delete(t.Context(), "new", ""); !errors.Is(err, errFault) {
		t.Errorf("Delete: got error %v", err)
	}
	if _, err := inner.Stat(t.Context(), "new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Delete was not carried out: %v", err)
	}
	if n, _, err := outer.Read(t.Context(), "x", "", make([]byte, 10), 0); n != 0 || !errors.Is(err, errFault) {
		t.Errorf("Read: got %d bytes, error %v", n, err)
	}
}

func TestCutShort(t *testing.T) {
	outer, _, body := newFaulty(t)
	outer.Inject(Each(OpRead, CutShort(100)))
	buf := make([]byte, 1000)
	n, _, err := outer.Read(t.Context(), "x", "", buf, 10)
	if n != 100 || !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(buf[:100], body[10:110]) {
		t.Errorf("Read: got %d bytes, error %v", n, err)
	}
	if !bytes.Equal(buf[100:], make([]byte, 900)) {
		t.Errorf("Read: there are bytes beyond those reported")
	}
	n, _, err = outer.Read(t.Context(), "x", "", buf[:100], 0)
	if n != 100 || err != nil {
		t.Errorf("Read of no more than the cut: got %d bytes, error %v", n, err)
	}
	if _, _, err = outer.Read(t.Context(), "gone", "", buf, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of a missing object: got error %v", err)
	}
}

func TestFlipBit(t *testing.T) {
	outer, _, body := newFaulty(t)
	outer.Inject(Each(OpRead, FlipBit(500)))
	for _, r := range []struct{ off, n, changed int }{
		{0, 1000, 500}, {500, 1, 0}, {400, 200, 100}, {0, 500, -1}, {501, 100, -1},
	} {
		buf := make([]byte, r.n)
		n, _, err := outer.Read(t.Context(), "x", "", buf, int64(r.off))
		if n != r.n || err != nil {
			t.Fatalf("Read: got %d bytes, error %v", n, err)
		}
		for i := range buf {
			if same := buf[i] == body[r.off+i]; same == (i == r.changed) {
				t.Errorf("Read of %d at %d: byte %d: right is %t", r.n, r.off, i, same)
			}
		}
	}
}

func TestHold(t *testing.T) {
	outer, inner, _ := newFaulty(t)
	gate := NewGate()
	outer.Inject(Each(OpCreate, Hold(gate)))
	var wg sync.WaitGroup
	for _, key := range []string{"a", "b"} {
		wg.Go(func() {
			if _, err := outer.Create(t.Context(), key, nil); err != nil {
				t.Errorf("Create %s: %v", key, err)
			}
		})
	}
	held := map[string]bool{(<-gate.Arrived()).Key: true, (<-gate.Arrived()).Key: true}
	if !held["a"] || !held["b"] {
		t.Errorf("held %v", held)
	}
	if n := inner.Calls(OpCreate); n != 0 {
		t.Errorf("%d calls have passed the closed gate", n)
	}
	gate.Open()
	wg.Wait()
	if _, err := outer.Create(t.Context(), "c", nil); err != nil {
		t.Errorf("Create after Open: %v", err)
	}
	if n := inner.Calls(OpCreate); n != 3 {
		t.Errorf("%d calls have reached the store, want 3", n)
	}
}

func TestHoldEndsWithTheContext(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault func(*Gate) Fault
		calls int
	}{
		{"before", Hold, 0},
		{"after", HoldAnswer, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			outer, inner, _ := newFaulty(t)
			gate := NewGate()
			outer.Inject(Each(OpRead, c.fault(gate)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-gate.Arrived()
				cancel()
			}()
			n, _, err := outer.Read(ctx, "x", "", make([]byte, 10), 0)
			if n != 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("Read: got %d bytes, error %v", n, err)
			}
			if got := inner.Calls(OpRead); got != c.calls {
				t.Errorf("%d calls have reached the store, want %d", got, c.calls)
			}
		})
	}
}

func TestHoldAnswer(t *testing.T) {
	outer, inner, _ := newFaulty(t)
	gate := NewGate()
	outer.Inject(Each(OpCreate, HoldAnswer(gate)))
	created := make(chan error)
	go func() {
		_, err := outer.Create(t.Context(), "new", nil)
		created <- err
	}()
	<-gate.Arrived()
	if _, err := inner.Stat(t.Context(), "new"); err != nil {
		t.Errorf("Create was not carried out: %v", err)
	}
	select {
	case err := <-created:
		t.Errorf("the closed gate has let the answer go: %v", err)
	default:
	}
	gate.Open()
	if err := <-created; err != nil {
		t.Errorf("Create: %v", err)
	}
}

func TestCancel(t *testing.T) {
	for _, carriedOut := range []bool{false, true} {
		outer, inner, _ := newFaulty(t)
		outer.Inject(Each(OpCreate, Cancel(carriedOut)))
		obj, err := outer.Create(t.Context(), "new", []byte("body"))
		if !errors.Is(err, context.Canceled) || obj != (backends.Object{}) {
			t.Errorf("Create: got %+v, error %v", obj, err)
		}
		_, err = inner.Stat(t.Context(), "new")
		if there := err == nil; there != carriedOut {
			t.Errorf("Cancel(%t): the object is there: %t", carriedOut, there)
		}
	}
}
