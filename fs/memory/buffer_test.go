package memory

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/fs/budget"
)

const (
	head, tail = 70, 16
	limit      = 4 << 20
)

func newBuffer(t testing.TB, limit int64) (*Buffer, *budget.Budget) {
	p, bu := newPool(t, limit)
	b := p.New(budget.Write, head, tail)
	t.Cleanup(b.Free)
	return b, bu
}

// newPool returns a pool to which all memory must have come back in the end.
func newPool(t testing.TB, limit int64) (*Pool, *budget.Budget) {
	bu := budget.New(limit, time.Second)
	p := NewPool(bu)
	t.Cleanup(func() {
		if used := bu.Usage().Used; used != 0 {
			t.Errorf("%d bytes are still reserved after Free", used)
		}
		p.Close()
		if lent := bu.Usage().Lent; lent != 0 {
			t.Errorf("%d bytes are still lent after Close", lent)
		}
	})
	return p, bu
}

func TestResizeKeepsContentAndZeroesTheRest(t *testing.T) {
	b, bu := newBuffer(t, limit)
	model := []byte{}
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		n := r.IntN(limit + 1)
		if r.IntN(2) == 0 {
			n = r.IntN(10000)
		}
		if err := b.Resize(t.Context(), int64(n)); err != nil {
			t.Fatal(err)
		}
		grown := make([]byte, n)
		copy(grown, model)
		model = grown
		if !bytes.Equal(b.Content(), model) {
			t.Fatalf("content differs after a resize to %d", n)
		}
		if r.IntN(5) == 0 { // what the next one gets has been used
			fill(b.Framed(), 0xFF)
			b.Free()
			model = nil
			continue
		}
		for i := range 10 {
			if n > 0 {
				at := r.IntN(n)
				b.Content()[at], model[at] = byte(i+1), byte(i+1)
			}
		}
		if used := bu.Usage().Used; used < int64(n) || used > limit {
			t.Fatalf("%d bytes are reserved for %d", used, n)
		}
	}
}

func fill(p []byte, value byte) {
	for i := range p {
		p[i] = value
	}
}

func TestFramedHasHeadroomAndTailroom(t *testing.T) {
	b, _ := newBuffer(t, limit)
	for _, n := range []int64{0, 1, 4095, 4096, 100000} {
		if err := b.Resize(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		framed := b.Framed()
		if int64(len(framed)) != head+n+tail || cap(framed) != len(framed) {
			t.Errorf("frame of %d bytes has %d (capacity %d)", n, len(framed), cap(framed))
		}
		if n > 0 && &framed[head] != &b.Content()[0] {
			t.Error("frame and content are apart")
		}
	}
}

// A file may have exactly the limit, and is refused one byte above it, by both
// ways of making room.
func TestLimitIsExact(t *testing.T) {
	for _, limit := range []int64{1 << 20, 1<<20 + 1, 1<<20 - 1} {
		b, bu := newBuffer(t, limit)
		if err := b.Resize(t.Context(), limit); err != nil {
			t.Errorf("limit %d: %v", limit, err)
		}
		if err := b.Resize(t.Context(), limit+1); !errors.Is(err, budget.ErrTooLarge) {
			t.Errorf("limit %d: one byte more gives %v", limit, err)
		}
		if int64(b.Size()) != limit || bu.Usage().Used != limit {
			t.Errorf("limit %d: size %d, reserved %d", limit, b.Size(), bu.Usage().Used)
		}
		b.Free()
		if err := b.Allocate(t.Context(), limit+1); !errors.Is(err, budget.ErrTooLarge) {
			t.Errorf("limit %d: allocating one byte more gives %v", limit, err)
		}
		if err := b.Allocate(t.Context(), limit); err != nil {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func TestTrimGivesBackWhatIsNotNeeded(t *testing.T) {
	b, bu := newBuffer(t, limit)
	for _, n := range []int64{1, 100000} { // appends are given more than they need
		if err := b.Resize(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	before := bu.Usage().Used
	b.Content()[99999] = 7
	if err := b.Trim(); err != nil {
		t.Fatal(err)
	}
	page := int64(os.Getpagesize())
	want := (100000 + head + tail + page - 1) / page * page
	if used := bu.Usage().Used; used != want || used >= before {
		t.Errorf("%d bytes reserved after Trim, %d before; want %d", used, before, want)
	}
	if b.Content()[99999] != 7 {
		t.Error("Trim lost content")
	}
}

func TestAllocateIsExact(t *testing.T) {
	b, bu := newBuffer(t, limit)
	if err := b.Allocate(t.Context(), 500000); err != nil {
		t.Fatal(err)
	}
	if over := bu.Usage().Used - 500000; over < 0 || over > int64(os.Getpagesize())+head+tail {
		t.Errorf("%d bytes are reserved beyond the content", over)
	}
}

// Memory must not be touched before the budget has granted it.
func TestRefusedBufferIsUnchanged(t *testing.T) {
	bu := budget.New(limit, time.Millisecond)
	other := bu.Claim(budget.Read)
	if err := other.Grow(t.Context(), limit); err != nil {
		t.Fatal(err)
	}
	b := NewPool(bu).New(budget.Write, head, tail)
	if err := b.Resize(t.Context(), 1); !errors.Is(err, budget.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if b.mem != nil || b.Size() != 0 {
		t.Error("memory was mapped without a grant")
	}
	other.Release()
}

// The pages are mapped with VM_DONTDUMP ("dd"), and those of a large buffer are
// gone after Free.
func TestPagesAreNotDumpedAndGoBack(t *testing.T) {
	b, _ := newBuffer(t, 4*limit)
	if err := b.Resize(t.Context(), 100000); err != nil {
		t.Fatal(err)
	}
	if err := b.Resize(t.Context(), idleFrame); err != nil { // moved or grown by mremap
		t.Fatal(err)
	}
	start := fmt.Sprintf("%p", b.mem)[2:]
	if flags := vmFlags(t, start); !strings.Contains(flags, " dd") {
		t.Errorf("flags of the mapping: %q", flags)
	}
	b.Free()
	if flags := vmFlags(t, start); strings.Contains(flags, " dd") {
		t.Error("the mapping is still there after Free")
	}
}

// vmFlags returns the VmFlags of the mapping that starts at the given address.
func vmFlags(t *testing.T, start string) string {
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut("\n"+string(smaps), "\n"+start+"-")
	_, rest, _ = strings.Cut(rest, "VmFlags:")
	flags, _, _ := strings.Cut(rest, "\n")
	return flags
}

// Appending in pieces of 4,096 bytes, as Orthanc writes, allocates nothing on
// the Go heap but for the few steps of growth.
func BenchmarkAppend4096(b *testing.B) {
	for _, size := range []int64{512 << 10, 64 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			buf, _ := newBuffer(b, 1<<30)
			piece := bytes.Repeat([]byte{1}, 4096)
			b.SetBytes(4096)
			b.ReportAllocs()
			for b.Loop() {
				if int64(buf.Size()) == size {
					buf.Free()
				}
				at := int64(buf.Size())
				if err := buf.Resize(b.Context(), at+4096); err != nil {
					b.Fatal(err)
				}
				copy(buf.Content()[at:], piece)
			}
		})
	}
}

func TestExpedite(t *testing.T) {
	b, bu := newBuffer(t, limit)
	if b.Expedite(limit/2 + 1) {
		t.Error("took more than half of the budget")
	}
	if !b.Expedite(limit/2-head-tail) || bu.Usage().Used != limit/2 {
		t.Errorf("%d bytes are reserved", bu.Usage().Used)
	}
	other := b.pool.New(budget.Write, head, tail)
	defer other.Free()
	if other.Expedite(1) {
		t.Error("took memory that is not plentiful")
	}
	if err := other.Resize(t.Context(), limit/4); err != nil {
		t.Fatal(err)
	}
	// Beyond the limit, without waiting for the other.
	if err := b.Resize(t.Context(), limit); err != nil {
		t.Fatal(err)
	}
	if used := bu.Usage().Used; used <= limit || used > 2*limit {
		t.Errorf("%d bytes are reserved", used)
	}
}
