package budget

import "slices"

// Lend offers what c holds to whoever needs it: then giveUp is called, once, and
// has to end with c.Release. It reports false, and keeps nothing of giveUp, if
// somebody is waiting, or the sum of all claims is beyond the limit. giveUp runs
// while nothing of the budget is locked.
func (c *Claim) Lend(giveUp func()) bool {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 || b.used > b.limit {
		return false
	}
	b.lend(c, giveUp)
	return true
}

func (b *Budget) lend(c *Claim, giveUp func()) {
	if c == b.elder {
		b.elder = nil
	}
	c.giveUp = giveUp
	b.lent = append(b.lent, c)
	b.lentBytes += c.held
	b.sums[c.class] -= c.held
}

// HandOver lends what c holds, as Lend does, in the name of another claim, which
// it returns; c is empty afterwards, as one that has never asked. It returns nil,
// and does nothing, if somebody needs the memory: because it waits, the sum of all
// claims is beyond the limit, or what is lent is being called in.
func (c *Claim) HandOver(giveUp func()) *Claim {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 || b.used > b.limit || b.calling > 0 {
		return nil
	}
	heir := &Claim{budget: b, class: c.class, held: c.held}
	c.held, c.ticket = 0, 0
	if c == b.elder {
		b.elder = nil
	}
	b.lend(heir, giveUp)
	return heir
}

// Inherit makes c, which is empty, hold what heir has been given by HandOver, and
// n bytes in all, on the terms of TryGrow. It reports false if it did nothing. heir
// is not lent any more.
func (c *Claim) Inherit(heir *Claim, n, ceiling int64) bool {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.allows(c, heir.held, max(n, heir.held), ceiling) {
		return false
	}
	b.line(c)
	b.add(c, max(n, heir.held))
	b.add(heir, -heir.held)
	return true
}

// TakeBack ends the offer. It reports false if giveUp has been called or is
// about to be.
func (c *Claim) TakeBack() bool {
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	return c.budget.takeBack(c) != nil
}

func (b *Budget) takeBack(c *Claim) (giveUp func()) {
	i := slices.Index(b.lent, c)
	if i < 0 {
		return nil
	}
	b.lent = slices.Delete(b.lent, i, i+1)
	b.lentBytes -= c.held
	b.sums[c.class] += c.held
	giveUp, c.giveUp = c.giveUp, nil
	return giveUp
}

// callIn has lent claims given up, those lent first before the others, for as
// long as needed says so.
func (b *Budget) callIn(needed func() bool) {
	for {
		giveUp := b.next(needed)
		if giveUp == nil {
			return
		}
		b.call(1)
		giveUp()
		b.call(-1)
	}
}

func (b *Budget) call(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calling += n
}

// Recycle has the claim given up that was lent first, if n bytes more would take
// the sum beyond ceiling. Its owner may hand it over.
func (b *Budget) Recycle(n, ceiling int64) {
	giveUp := b.next(func() bool { return b.used+n > ceiling })
	if giveUp != nil {
		giveUp()
	}
}

func (b *Budget) next(needed func() bool) (giveUp func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lent) == 0 || !needed() {
		return nil
	}
	return b.takeBack(b.lent[0])
}

// tryMakeRoom calls in what c needs to hold n bytes with a sum within ceiling,
// if that can help.
func (b *Budget) tryMakeRoom(c *Claim, n, ceiling int64) {
	b.callIn(func() bool {
		sum := b.used + n - c.held
		return sum > ceiling && sum-b.lentBytes <= ceiling
	})
}

// makeRoom calls in what c needs to hold n bytes with a sum within the limit,
// all if that is not enough.
func (b *Budget) makeRoom(c *Claim, n int64) {
	b.callIn(func() bool { return b.used+n-c.held > b.limit })
}

// makeRoomForAll calls in everything while somebody waits.
func (b *Budget) makeRoomForAll() {
	b.callIn(func() bool { return len(b.queue) > 0 })
}
