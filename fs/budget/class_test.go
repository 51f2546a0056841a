package budget

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hang has writers grow, in steps and in any order, until none of them is given
// anything more. They keep what they have until end is called.
func hang(t *testing.T, b *Budget, r *rand.Rand) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	var claims []*Claim
	for range 20 {
		c, size, steps := b.Claim(Write), 1+r.Int64N(b.Limit()), 1+r.Int64N(8)
		if r.IntN(8) == 0 {
			c.Hurry()
		}
		claims = append(claims, c)
		writers.Go(func() {
			for n := int64(1); n <= steps && c.Grow(ctx, size*n/steps) == nil; n++ {
				time.Sleep(time.Microsecond)
			}
			<-ctx.Done()
		})
	}
	time.Sleep(time.Millisecond)
	synctest.Wait()
	return func() {
		cancel()
		writers.Wait()
		for _, c := range claims {
			c.Release()
		}
	}
}

// However writers fill the budget, and keep it, readers are given their share at
// once, again and again, and writers never have it.
func TestReadersDoNotWaitForWritersThatHang(t *testing.T) {
	for _, limit := range []int64{4, 5, 7, 100, 1000, 1 << 30} {
		for seed := range uint64(20) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, uint64(limit)))
				b := New(limit, time.Hour)
				end := hang(t, b, r)
				share := limit / readShare
				begin := time.Now()
				for range 10 {
					first, second := b.Claim(Read), b.Claim(Read)
					n := 1 + r.Int64N(share)
					grow(t, first, n)
					if n < share {
						grow(t, second, share-n)
					}
					checkSums(t, b)
					first.Release()
					second.Release()
				}
				if waited := time.Since(begin); waited != 0 {
					t.Errorf("limit %d: readers waited %v", limit, waited)
				}
				end()
				wantUsage(t, b, 0, 0)
			})
		}
	}
}

// checkSums proves what the package comment says of the sums.
func checkSums(t *testing.T, b *Budget) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if writers := b.sum(Write); writers > b.share(Write) {
		t.Errorf("writers have %d of %d", writers, b.limit)
	}
	if others := b.withoutElder(); others > b.limit {
		t.Errorf("all but the elder have %d of %d", others, b.limit)
	}
	if b.elder != nil && b.elder.held > b.limit || b.used > 2*b.limit {
		t.Errorf("the elder has %+v, all have %d, limit %d", b.elder, b.used, b.limit)
	}
	if sum := b.sums[Read] + b.sums[Write] + b.sums[urgent] + b.lentBytes; sum != b.used {
		t.Errorf("the classes have %d, all have %d", sum, b.used)
	}
}

// checkOrder proves that nobody of c's class, which has just been admitted, has
// waited longer to be admitted.
func checkOrder(t *testing.T, b *Budget, c *Claim) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.queue {
		if w.claim.class == c.class && w.claim.held == 0 && w.claim.ticket < c.ticket {
			t.Errorf("%d of class %d was admitted before %d", c.ticket, c.class, w.claim.ticket)
		}
	}
}

// Readers and writers of all sizes, on budgets of all sizes: the sums stay within
// their bounds, each class is served in order, and all are served.
func TestRandomReadersAndWriters(t *testing.T) {
	for _, limit := range []int64{1, 2, 3, 4, 5, 8, 100, 1000} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("%d/%d", limit, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := rand.New(rand.NewPCG(seed, uint64(limit)))
					b := New(limit, time.Hour)
					begin := time.Now()
					var done sync.WaitGroup
					for range 100 {
						seed := r.Uint64()
						done.Go(func() { randomFile(t, b, rand.New(rand.NewPCG(seed, 1))) })
					}
					done.Wait()
					wantUsage(t, b, 0, 0)
					if took := time.Since(begin); took >= time.Minute {
						t.Errorf("took %v: somebody hung", took)
					}
					if b.elder != nil {
						t.Error("there is an elder in the end")
					}
				})
			})
		}
	}
}

// randomFile is a reader or a writer. Some readers have a part already when they
// ask for all; a few files are lent in the end.
func randomFile(t *testing.T, b *Budget, r *rand.Rand) {
	time.Sleep(time.Duration(r.IntN(int(100 * time.Millisecond))))
	class, steps := Read, 1+int64(r.IntN(2))
	if r.IntN(2) == 0 {
		class, steps = Write, 1+int64(r.IntN(8))
	}
	size := 1 + r.Int64N(b.Limit())
	if r.IntN(2) == 0 {
		size = 1 + r.Int64N(max(1, b.Limit()/10))
	}
	c := b.Claim(class)
	if class == Write && size <= b.Limit()/20 && r.IntN(4) == 0 {
		c.Hurry()
	}
	for n := int64(1); n <= steps; n++ {
		grow(t, c, max(1, size*n/steps))
		if n == 1 {
			checkOrder(t, b, c)
		}
		checkSums(t, b)
		time.Sleep(time.Duration(r.IntN(int(10 * time.Millisecond))))
	}
	if class == Read && r.IntN(4) == 0 && c.Lend(c.Release) {
		time.Sleep(time.Duration(r.IntN(int(10 * time.Millisecond))))
		if !c.TakeBack() {
			return
		}
		checkSums(t, b)
	}
	c.Release()
}

// stream has claims of a class come and go until stop is closed.
func stream(t *testing.T, b *Budget, class Class, n int64, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		c := b.Claim(class)
		grow(t, c, n)
		time.Sleep(time.Millisecond)
		c.Release()
	}
}

// A large file of either class is served soon, whatever streams of small files of
// either class there are.
func TestLargeIsNotStarvedByEitherClass(t *testing.T) {
	const limit = 100
	for _, large := range []struct {
		class Class
		size  int64
		step  int64
	}{{Read, limit, limit}, {Read, 30, 30}, {Write, limit, limit}, {Write, limit, 7}, {Write, 60, 60}} {
		synctest.Test(t, func(t *testing.T) {
			b := New(limit, time.Hour)
			stop := make(chan struct{})
			var done sync.WaitGroup
			for n := range int64(30) {
				done.Go(func() { stream(t, b, Class(n%2), 1+n, stop) })
			}
			time.Sleep(50 * time.Millisecond)
			begin := time.Now()
			c := b.Claim(large.class)
			for n := large.step; n < large.size+large.step; n += large.step {
				grow(t, c, min(n, large.size))
				checkSums(t, b)
			}
			if waited := time.Since(begin); waited > 20*time.Millisecond {
				t.Errorf("%+v waited %v behind claims of 1 ms", large, waited)
			}
			c.Release()
			close(stop)
			done.Wait()
		})
	}
}

// A reader that is larger than the readers' share does not wait for writers that
// hang either, as long as none of them is beyond the limit.
func TestLargeReaderBesideWritersThatHang(t *testing.T) {
	b := New(100, time.Millisecond)
	writer, reader, small := b.Claim(Write), b.Claim(Read), b.Claim(Read)
	grow(t, writer, 75)
	grow(t, reader, 100)
	wantUsage(t, b, 175, 0)
	grow(t, small, 25)
	wantUsage(t, b, 200, 0)
	checkSums(t, b)
	for _, c := range []*Claim{writer, reader, small} {
		c.Release()
	}
	wantUsage(t, b, 0, 0)
}

// What one class leaves, a writer inherits only up to what writers may have.
func TestWritersDoNotInheritTheReadersShare(t *testing.T) {
	b := New(100, patience)
	writer, reader, other := b.Claim(Write), b.Claim(Read), b.Claim(Write)
	grow(t, writer, 60)
	grow(t, reader, 30)
	heir := reader.HandOver(func() {})
	if !heir.TakeBack() || other.Inherit(heir, 16, 100) {
		t.Error("writers have more than their share")
	}
	if !reader.Inherit(heir, 35, 100) || heir.held != 0 {
		t.Error("a reader did not inherit")
	}
	wantUsage(t, b, 95, 0)
	checkSums(t, b)
	if other.TryGrow(16, 100) {
		t.Error("writers have more than their share")
	}
	writer.Release()
	reader.Release()
	wantUsage(t, b, 0, 0)
}

// While an elder keeps what it has, the others go on to what they may have without
// it, so that a small file does not wait for a large one to be sent.
func TestOthersGoOnBesideTheElder(t *testing.T) {
	b := New(100, time.Millisecond)
	elder, other := b.Claim(Write), b.Claim(Write)
	grow(t, elder, 30)
	grow(t, other, 30)
	grow(t, elder, 100)
	grow(t, other, 75)
	wantUsage(t, b, 175, 0)
	if err := other.Grow(t.Context(), 76); !errors.Is(err, ErrBusy) {
		t.Errorf("beyond the writers' share: %v", err)
	}
	if err := b.Claim(Write).Grow(t.Context(), 1); !errors.Is(err, ErrBusy) {
		t.Errorf("one that has nothing: %v", err)
	}
	checkSums(t, b)
	elder.Release()
	grow(t, other, 100)
	other.Release()
	wantUsage(t, b, 0, 0)
}

// An elder that is done makes room for the next one, although what is urgent keeps
// the sum beyond the limit.
func TestNextElderBesideWhatIsUrgent(t *testing.T) {
	b := New(100, time.Millisecond)
	elder, next, hurried := b.Claim(Write), b.Claim(Write), b.Claim(Write)
	grow(t, elder, 40)
	grow(t, next, 30)
	grow(t, elder, 60)
	hurried.Hurry()
	grow(t, hurried, 80)
	elder.Release()
	grow(t, next, 90)
	wantUsage(t, b, 170, 0)
	hurried.Release()
	next.Release()
	wantUsage(t, b, 0, 0)
}
