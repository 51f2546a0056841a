package memory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"orthanc-bucketfs/fs/budget"
)

// allocated returns a buffer of n bytes.
func allocated(t *testing.T, p *Pool, n int64) *Buffer {
	t.Helper()
	b := p.New(budget.Write, head, tail)
	if err := b.Allocate(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Free)
	return b
}

// mark is what a byte holds of which the next user is to tell where it has been.
const mark = 0xAB

func address(b *Buffer) string { return fmt.Sprintf("%p", b.mem)[2:] }

// mapped reports that there is memory for files at address.
func mapped(t *testing.T, address string) bool {
	return strings.Contains(vmFlags(t, address), " dd")
}

func TestIdleMemoryIsUsedAgain(t *testing.T) {
	p, bu := newPool(t, limit)
	b := allocated(t, p, 100_000)
	b.Content()[0] = mark
	b.Free()
	if u := bu.Usage(); u.Used != 0 || u.Lent < 100_000 {
		t.Errorf("after Free %d bytes are used, and %d lent", u.Used, u.Lent)
	}
	if again := allocated(t, p, 50_000); again.Content()[0] != mark {
		t.Error("the memory is another one")
	}
	if u := bu.Usage(); u.Used < 50_000 || u.Used > 60_000 || u.Lent != 0 {
		t.Errorf("%d bytes are used, and %d lent", u.Used, u.Lent)
	}
}

func TestIdleMemoryGoesBackAfterAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, bu := newPool(t, limit)
		old, young := allocated(t, p, 100_000), allocated(t, p, 100_000)
		oldAt, youngAt := address(old), address(young)
		old.Free()
		time.Sleep(idleTime / 2)
		young.Free()
		time.Sleep(idleTime/2 + time.Millisecond)
		if mapped(t, oldAt) || !mapped(t, youngAt) {
			t.Error("not the older one alone has gone")
		}
		time.Sleep(idleTime / 2)
		if mapped(t, youngAt) || bu.Usage().Lent != 0 {
			t.Error("the younger one has not gone")
		}
	})
}

// Whoever needs the memory gets it, without waiting.
func TestIdleMemoryIsGivenUp(t *testing.T) {
	p, bu := newPool(t, limit)
	b := allocated(t, p, 100_000)
	was := address(b)
	b.Free()
	c := bu.Claim(budget.Read)
	if !c.TryGrow(limit, limit) {
		t.Error("the memory was not given up")
	}
	c.Release()
	if mapped(t, was) {
		t.Error("the mapping is still there")
	}
}

func TestIdleMemoryIsBounded(t *testing.T) {
	p, bu := newPool(t, limit)
	var all []*Buffer
	for range 10 {
		all = append(all, allocated(t, p, limit/idleShare/4))
	}
	for _, b := range all {
		b.Free()
	}
	if lent := bu.Usage().Lent; lent == 0 || lent > limit/idleShare {
		t.Errorf("%d bytes are lent", lent)
	}
}

func TestLargeMemoryIsNeverIdle(t *testing.T) {
	p, bu := newPool(t, 100*limit)
	allocated(t, p, idleFrame).Free() // the frame is larger
	if lent := bu.Usage().Lent; lent != 0 {
		t.Errorf("%d bytes are lent", lent)
	}
}

func TestNothingIsIdleAfterClose(t *testing.T) {
	p, bu := newPool(t, limit)
	b := allocated(t, p, 100_000)
	p.Close()
	b.Free()
	if u := bu.Usage(); u.Lent != 0 {
		t.Errorf("%d bytes are lent", u.Lent)
	}
}

// What was urgent is not for whoever comes after.
func TestIdleMemoryIsNotUrgent(t *testing.T) {
	bu := budget.New(limit, time.Millisecond)
	p := NewPool(bu)
	defer p.Close()
	first := p.New(budget.Write, head, tail)
	if !first.Expedite(100_000) {
		t.Fatal("no memory")
	}
	if err := first.Resize(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	first.Content()[0] = mark
	first.Free()
	second := allocated(t, p, 1)
	if second.Content()[0] != mark {
		t.Fatal("the memory is another one")
	}
	other, elder := bu.Claim(budget.Write), bu.Claim(budget.Read)
	defer other.Release()
	defer elder.Release()
	if err := errors.Join(other.Grow(t.Context(), limit*5/8), elder.Grow(t.Context(), limit/8), elder.Grow(t.Context(), limit)); err != nil {
		t.Fatal(err)
	}
	if err := second.Resize(t.Context(), limit/2); !errors.Is(err, budget.ErrBusy) {
		t.Errorf("beyond the limit: %v, want ErrBusy", err)
	}
}

// A file that comes when the budget is full of what is kept for a moment lies
// where the oldest of that lay.
func TestMemoryIsRecycled(t *testing.T) {
	p, bu := newPool(t, limit)
	const size = limit/16 - head - tail
	var kept []*Buffer
	for range 16 {
		b := allocated(t, p, size)
		b.Content()[0] = mark + byte(len(kept))
		if !b.Lend(b.Free) {
			t.Fatal("not lent")
		}
		kept = append(kept, b)
	}
	if b := allocated(t, p, size); b.Content()[0] != mark {
		t.Error("the memory is not that of the oldest")
	}
	if u := bu.Usage(); u.Used != limit/16 || u.Lent != limit-limit/16 {
		t.Errorf("%d bytes are used, and %d lent", u.Used, u.Lent)
	}
	for _, b := range kept[1:] {
		if !b.TakeBack() {
			t.Error("more was given up than needed")
		}
		b.Free()
	}
}

// Files of many pages lie in huge ones ("hg"): to clear as many small ones costs
// six times as much.
func TestLargeFramesHaveHugePages(t *testing.T) {
	b, _ := newBuffer(t, 32<<20)
	for _, size := range []int64{1 << 20, 9 << 20, 20 << 20} {
		if err := b.Resize(t.Context(), size); err != nil {
			t.Fatal(err)
		}
		b.Content()[size-1] = 1
		huge := strings.Contains(vmFlags(t, address(b)), " hg")
		if huge != (size >= largeFrame) {
			t.Errorf("%d bytes: huge pages: %v", size, huge)
		}
	}
}
