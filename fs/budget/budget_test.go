package budget

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const patience = time.Minute

func grow(t *testing.T, c *Claim, n int64) {
	t.Helper()
	if err := c.Grow(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

func wantUsage(t *testing.T, b *Budget, used int64, waiting int) {
	t.Helper()
	if got := b.Usage(); got.Used != used || got.Waiting != waiting {
		t.Errorf("used %d, waiting %d; want %d, %d", got.Used, got.Waiting, used, waiting)
	}
}

func TestGrowShrinkRelease(t *testing.T) {
	b := New(100, patience)
	c := b.Claim(Read)
	grow(t, c, 60)
	grow(t, c, 40) // less than held: nothing to do
	wantUsage(t, b, 60, 0)
	grow(t, c, 100)
	wantUsage(t, b, 100, 0)
	c.Shrink(30)
	wantUsage(t, b, 30, 0)
	c.Release()
	c.Release()
	wantUsage(t, b, 0, 0)
}

func TestTooLargeIsRefusedAtOnce(t *testing.T) {
	b := New(100, patience)
	full := b.Claim(Read)
	grow(t, full, 100)
	if err := b.Claim(Read).Grow(t.Context(), 101); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	wantUsage(t, b, 100, 0)
}

// A large claim waits in front, and those that would fit do not pass it.
func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		holder := b.Claim(Read)
		grow(t, holder, 50)
		order := make(chan int64, 3)
		for _, n := range []int64{90, 60, 50} {
			go func() {
				c := b.Claim(Read)
				grow(t, c, n)
				order <- n
				c.Release()
			}()
			synctest.Wait()
		}
		wantUsage(t, b, 50, 3)
		holder.Release()
		synctest.Wait()
		for _, want := range []int64{90, 60, 50} {
			if got := <-order; got != want {
				t.Errorf("served %d, want %d", got, want)
			}
		}
		wantUsage(t, b, 0, 0)
	})
}

// A claim that holds memory is older than all that wait to be admitted.
func TestGrowthComesBeforeAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		holder, writer, reader := b.Claim(Read), b.Claim(Read), b.Claim(Read)
		grow(t, holder, 50)
		grow(t, writer, 50)
		var order []string
		var mu sync.Mutex
		ask := func(name string, c *Claim, n int64) {
			grow(t, c, n)
			mu.Lock()
			order = append(order, name)
			mu.Unlock()
			c.Release()
		}
		go ask("reader", reader, 60)
		synctest.Wait()
		wantUsage(t, b, 100, 1)
		go ask("writer", writer, 70) // becomes the elder at once
		synctest.Wait()
		holder.Release()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(order) != 2 || order[0] != "writer" {
			t.Errorf("served %v, want the writer first", order)
		}
		wantUsage(t, b, 0, 0)
	})
}

func TestWaitEndsWithContextAndLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		holder := b.Claim(Read)
		grow(t, holder, 80)
		ctx, cancel := context.WithCancel(t.Context())
		failed, admitted := make(chan error), make(chan error)
		go func() { failed <- b.Claim(Read).Grow(ctx, 50) }()
		synctest.Wait()
		behind := b.Claim(Read)
		go func() { admitted <- behind.Grow(t.Context(), 20) }()
		synctest.Wait()
		wantUsage(t, b, 80, 2)
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if err := <-admitted; err != nil { // the one behind fits now
			t.Error(err)
		}
		wantUsage(t, b, 100, 0)
		behind.Release()
		holder.Release()
		wantUsage(t, b, 0, 0)
	})
}

func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		holder := b.Claim(Read)
		grow(t, holder, 80)
		start := time.Now()
		if err := b.Claim(Read).Grow(t.Context(), 50); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		if waited := time.Since(start); waited != patience {
			t.Errorf("waited %v, want %v", waited, patience)
		}
		wantUsage(t, b, 80, 0)
	})
}

func TestEndedContextIsNotAdmitted(t *testing.T) {
	b := New(100, patience)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Claim(Read).Grow(ctx, 50); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	wantUsage(t, b, 0, 0)
}

// Claims that fill the budget half way and all need the other half must all
// finish, without patience coming to their help.
func TestManyGrowingClaimsDoNotDeadlock(t *testing.T) {
	for name, class := range map[string]func(n int) Class{
		"readers": func(int) Class { return Read },
		"writers": func(int) Class { return Write },
		"both":    func(n int) Class { return Class(n % 2) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { growAll(t, class) })
		})
	}
}

func growAll(t *testing.T, class func(n int) Class) {
	const limit, claims, steps = 1000, 64, 10
	b := New(limit, patience)
	start := time.Now()
	var done sync.WaitGroup
	for i := range claims {
		done.Go(func() {
			c := b.Claim(class(i))
			defer c.Release()
			for n := int64(1); n <= steps; n++ {
				grow(t, c, n*limit/steps)
				time.Sleep(time.Millisecond)
				checkSums(t, b)
			}
		})
	}
	done.Wait()
	if waited := time.Since(start); waited >= patience {
		t.Errorf("took %v: somebody waited for patience to end", waited)
	}
	wantUsage(t, b, 0, 0)
}

// While the sum is above the limit, nobody but the elder gets anything.
func TestNothingIsGrantedAboveTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		elder, other := b.Claim(Read), b.Claim(Read)
		grow(t, elder, 50)
		grow(t, other, 50)
		grow(t, elder, 100)
		wantUsage(t, b, 150, 0)
		granted := make(chan error, 1)
		go func() { granted <- other.Grow(t.Context(), 51) }()
		synctest.Wait()
		wantUsage(t, b, 150, 1)
		elder.Shrink(50)
		synctest.Wait()
		wantUsage(t, b, 101, 0) // within the limit there can be a new elder
		if err := <-granted; err != nil {
			t.Error(err)
		}
		elder.Release()
		other.Release()
		wantUsage(t, b, 0, 0)
	})
}

// The elder itself must not queue behind those who wait for it.
func TestElderPassesOlderWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		first, second := b.Claim(Read), b.Claim(Read)
		grow(t, first, 50)
		grow(t, second, 50)
		grow(t, second, 60) // the elder, although first is older
		done := make(chan error, 1)
		go func() { done <- first.Grow(t.Context(), 70) }()
		synctest.Wait()
		wantUsage(t, b, 110, 1)
		start := time.Now()
		grow(t, second, 100)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("the elder waited %v", waited)
		}
		second.Release()
		if err := <-done; err != nil {
			t.Error(err)
		}
		first.Release()
		wantUsage(t, b, 0, 0)
	})
}

// Random readers and writers, some of them giving up: the sum stays within
// bounds at every moment, single claims within the limit, everybody who stays
// is served, and nothing is left in the end.
func TestRandomLoad(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) { randomLoad(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func randomLoad(t *testing.T, r *rand.Rand) {
	const limit, clients = 1000, 100
	b := New(limit, time.Hour)
	var served, gaveUp atomic.Int64
	var done sync.WaitGroup
	for range clients {
		seed := r.Uint64()
		done.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			time.Sleep(time.Duration(r.IntN(1000)))
			if randomClient(t, b, r) {
				served.Add(1)
			} else {
				gaveUp.Add(1)
			}
		})
	}
	done.Wait()
	wantUsage(t, b, 0, 0)
	if b.elder != nil || served.Load() == 0 || served.Load()+gaveUp.Load() != clients {
		t.Errorf("elder %v, served %d, gave up %d of %d", b.elder, served.Load(), gaveUp.Load(), clients)
	}
}

// randomClient reports whether it was given all that it asked for.
func randomClient(t *testing.T, b *Budget, r *rand.Rand) bool {
	c := b.Claim(Read)
	defer c.Release()
	size := 1 + r.Int64N(b.Limit())
	steps := int64(1 + r.IntN(8))
	ctx, cancel := t.Context(), context.CancelFunc(func() {})
	impatient := r.IntN(4) == 0
	if impatient {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(5000)))
	}
	defer cancel()
	for n := int64(1); n <= steps; n++ {
		if err := c.Grow(ctx, size*n/steps); err != nil {
			if !impatient || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a patient client got %v", err)
			}
			return false
		}
		if used := b.Usage().Used; used > 2*b.Limit() {
			t.Errorf("used %d, more than twice the limit", used)
		}
		time.Sleep(time.Duration(r.IntN(1000)))
	}
	return true
}

// With readers only, which reserve once, the limit itself is the bound.
func TestReadersStayWithinTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(1000, time.Hour)
		var done sync.WaitGroup
		for i := range 200 {
			done.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 2))
				c := b.Claim(Read)
				defer c.Release()
				grow(t, c, 1+r.Int64N(1000))
				if used := b.Usage().Used; used > 1000 {
					t.Errorf("used %d with readers only", used)
				}
				time.Sleep(time.Duration(r.IntN(1000)))
			})
		}
		done.Wait()
		wantUsage(t, b, 0, 0)
	})
}

// A stream of small claims that always fit must not keep a large one waiting.
func TestLargeIsNotStarvedBySmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, time.Hour)
		stop := make(chan struct{})
		var done sync.WaitGroup
		for range 20 {
			done.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					c := b.Claim(Read)
					grow(t, c, 10)
					time.Sleep(time.Millisecond)
					c.Release()
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		large := b.Claim(Read)
		grow(t, large, 100)
		if waited := time.Since(start); waited > 10*time.Millisecond {
			t.Errorf("the large claim waited %v behind claims of 1ms", waited)
		}
		large.Release()
		close(stop)
		done.Wait()
	})
}

func TestReleaseGivesUpThePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		early, holder := b.Claim(Read), b.Claim(Read)
		grow(t, early, 10)
		early.Release()
		grow(t, holder, 100)
		order := make(chan string, 2)
		ask := func(name string, c *Claim) {
			grow(t, c, 60)
			order <- name
			c.Release()
		}
		go ask("late", b.Claim(Read))
		synctest.Wait()
		go ask("early", early)
		synctest.Wait()
		holder.Release()
		if got := <-order; got != "late" {
			t.Errorf("served %s first: a released claim kept its place", got)
		}
		<-order
	})
}

// A grant that crosses the end of the context counts.
func TestGrantWinsOverWithdrawal(t *testing.T) {
	b := New(100, patience)
	holder, c := b.Claim(Read), b.Claim(Read)
	grow(t, holder, 100)
	w := b.enqueue(c, 50)
	holder.Release()
	if err := b.withdraw(w, context.Canceled); err != nil {
		t.Errorf("withdrawn with %v after the grant", err)
	}
	wantUsage(t, b, 50, 0)
}

func BenchmarkGrowRelease(b *testing.B) {
	budget := New(1<<30, patience)
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := budget.Claim(Read)
			if err := c.Grow(ctx, 512<<10); err != nil {
				b.Error(err)
			}
			c.Release()
		}
	})
}

func TestTryGrowNeverWaits(t *testing.T) {
	b := New(100, patience)
	c := b.Claim(Read)
	if c.TryGrow(51, 50) || !c.TryGrow(50, 50) || !c.TryGrow(10, 0) || c.TryGrow(101, 200) {
		t.Error("the ceiling does not decide")
	}
	wantUsage(t, b, 50, 0)
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		holder, waiter := b.Claim(Read), b.Claim(Read)
		grow(t, holder, 50)
		go func() { grow(t, waiter, 60) }()
		synctest.Wait()
		if b.Claim(Read).TryGrow(10, 100) {
			t.Error("passed somebody who waits")
		}
		holder.Release()
	})
}

// What is urgent passes those who wait, and takes the sum beyond the limit, but
// not beyond twice the limit.
func TestUrgentClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		holder, waiter, first, second := b.Claim(Read), b.Claim(Read), b.Claim(Read), b.Claim(Read)
		grow(t, holder, 90)
		go func() { grow(t, waiter, 50) }()
		synctest.Wait()
		first.Hurry()
		second.Hurry()
		grow(t, first, 80)
		wantUsage(t, b, 170, 1)
		granted := make(chan error, 1)
		go func() { granted <- second.Grow(t.Context(), 31) }()
		synctest.Wait()
		wantUsage(t, b, 170, 2)
		first.Shrink(79)
		if err := <-granted; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		wantUsage(t, b, 200, 1) // the one that waits longer still waits
		for _, c := range []*Claim{first, second, holder} {
			c.Release()
		}
		synctest.Wait()
		wantUsage(t, b, 50, 0)
		waiter.Release()
	})
}

// The elder waits for what is urgent, and gets what it leaves.
func TestElderAndUrgentClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		elder, other, urgent := b.Claim(Read), b.Claim(Read), b.Claim(Read)
		grow(t, elder, 20)
		grow(t, other, 80)
		urgent.Hurry()
		grow(t, urgent, 90)
		granted := make(chan error, 1)
		go func() { granted <- elder.Grow(t.Context(), 60) }()
		synctest.Wait()
		wantUsage(t, b, 190, 1)
		urgent.Release()
		if err := <-granted; err != nil {
			t.Error(err)
		}
		wantUsage(t, b, 140, 0)
	})
}

// What is lent is given up before anybody waits, the oldest first, and no more
// than is needed.
func TestLentIsGivenUpFirst(t *testing.T) {
	b := New(100, patience)
	var gone []int
	lend := func(i int) *Claim {
		c := b.Claim(Read)
		grow(t, c, 30)
		if !c.Lend(func() { gone = append(gone, i); c.Release() }) {
			t.Error("not lent although nobody waits")
		}
		return c
	}
	lend(0)
	second := lend(1)
	lend(2)
	if u := b.Usage(); u.Used != 0 || u.Lent != 90 {
		t.Errorf("%+v", u)
	}
	c := b.Claim(Read)
	grow(t, c, 40)
	wantUsage(t, b, 40, 0)
	if len(gone) != 1 || gone[0] != 0 {
		t.Errorf("given up: %v, want the first alone", gone)
	}
	if !second.TakeBack() || second.TakeBack() {
		t.Error("a lent claim can be taken back once")
	}
	wantUsage(t, b, 70, 0)
	if c.TryGrow(80, 90) {
		t.Error("tried beyond the ceiling")
	}
	if len(gone) != 1 {
		t.Error("given up in vain")
	}
	if !c.TryGrow(70, 100) || len(gone) != 2 || gone[1] != 2 {
		t.Errorf("given up: %v, want the last, too", gone)
	}
	c.Release()
	second.Release()
	wantUsage(t, b, 0, 0)
}

// While somebody waits nothing can be lent: it would be given up at once.
func TestNothingIsLentWhileSomebodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		holder, lender, waiter := b.Claim(Read), b.Claim(Read), b.Claim(Read)
		grow(t, holder, 60)
		grow(t, lender, 30)
		go func() { grow(t, waiter, 50) }()
		synctest.Wait()
		if lender.Lend(lender.Release) {
			t.Error("lent")
		}
		holder.Release()
		synctest.Wait()
		lender.Release()
		waiter.Release()
		wantUsage(t, b, 0, 0)
	})
}

// Nobody goes beyond the limit for the sake of what is lent.
func TestLentIsGivenUpBeforeTheLimitIsPassed(t *testing.T) {
	b := New(100, patience)
	holder, lender := b.Claim(Read), b.Claim(Read)
	grow(t, holder, 50)
	grow(t, lender, 40)
	lender.Lend(lender.Release)
	grow(t, holder, 70) // it would become the elder
	if u := b.Usage(); u.Used != 70 || u.Lent != 0 {
		t.Errorf("%+v", u)
	}
	holder.Release()
}

// What a claim hands over is lent, and the claim is as a new one.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		c := b.Claim(Read)
		grow(t, c, 60)
		heir := c.HandOver(func() { t.Error("called in") })
		if u := b.Usage(); heir == nil || u.Used != 0 || u.Lent != 60 {
			t.Fatalf("%+v", u)
		}
		grow(t, c, 40)
		if !heir.TakeBack() {
			t.Error("not taken back")
		}
		wantUsage(t, b, 100, 0)
		if heir.TryGrow(61, 100) {
			t.Error("grown beyond the limit")
		}
		go func() { grow(t, b.Claim(Read), 10) }()
		synctest.Wait()
		if heir.HandOver(heir.Release) != nil {
			t.Error("handed over while somebody waits")
		}
		heir.Release()
		synctest.Wait()
		wantUsage(t, b, 50, 0)
	})
}

// What is beyond the limit, or called in, is for those who need it.
func TestWhatIsNeededIsNotHandedOver(t *testing.T) {
	b := New(100, patience)
	elder, other := b.Claim(Read), b.Claim(Read)
	grow(t, other, 60)
	grow(t, elder, 20)
	grow(t, elder, 50)
	if other.HandOver(other.Release) != nil {
		t.Error("handed over beyond the limit")
	}
	elder.Release()
	lent := other
	lent.Lend(func() {
		if lent.HandOver(lent.Release) != nil {
			t.Error("handed over when it was called in")
		}
		lent.Release()
	})
	grow(t, elder, 90)
	wantUsage(t, b, 90, 0)
}

// Recycling calls in the oldest alone, and nothing that is not needed.
func TestRecycle(t *testing.T) {
	b := New(100, patience)
	var heirs []*Claim
	for range 3 {
		c := b.Claim(Read)
		grow(t, c, 30)
		c.Lend(func() { heirs = append(heirs, c.HandOver(func() {})) })
	}
	b.Recycle(10, 100)
	if len(heirs) != 0 {
		t.Error("called in although there is room")
	}
	b.Recycle(20, 100)
	if len(heirs) != 1 || heirs[0] == nil || b.Usage().Lent != 90 {
		t.Errorf("called in: %v, lent: %d", heirs, b.Usage().Lent)
	}
}

func TestOldestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, patience)
		full := b.Claim(Read)
		grow(t, full, 100)
		var waiters sync.WaitGroup
		defer waiters.Wait()
		for range 2 {
			waiters.Go(func() {
				c := b.Claim(Read)
				grow(t, c, 10)
				c.Release()
			})
			synctest.Wait()
			time.Sleep(3 * time.Second)
		}
		if got := b.Usage().OldestWait; got != 6*time.Second {
			t.Errorf("the oldest waits for %v, want 6s", got)
		}
		full.Release()
		if got := b.Usage().OldestWait; got != 0 {
			t.Errorf("nobody waits for %v", got)
		}
	})
}
