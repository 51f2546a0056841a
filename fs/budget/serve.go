package budget

import "slices"

// Class says what a claim is for.
type Class int

const (
	Read  Class = iota // a file that is in the bucket
	Write              // a file that is not there yet
	urgent
	classes
)

// readShare is the part of the limit that writers never have together.
const readShare = 4

// share returns what a class has for itself: the other one never takes it, or
// gives it back before it takes anything more.
func (b *Budget) share(class Class) int64 {
	reads := b.limit / readShare
	if class == Read {
		return reads
	}
	return b.limit - reads
}

// sum returns what the claims of a class hold, without the elder.
func (b *Budget) sum(class Class) int64 {
	if b.elder != nil && b.elder.class == class {
		return b.sums[class] - b.elder.held
	}
	return b.sums[class]
}

// serve grants to those that may pass, and then in the order of tickets, where
// one that does not fit holds up its class.
func (b *Budget) serve() {
	for {
		i := slices.IndexFunc(b.queue, b.passes)
		if i < 0 {
			i = b.firstThatFits()
		}
		if i < 0 {
			return
		}
		w := b.queue[i]
		b.queue = slices.Delete(b.queue, i, i+1)
		b.grant(w)
	}
}

// firstThatFits returns the index of the first of the queue that fits, of those
// that are the first of their class.
func (b *Budget) firstThatFits() int {
	var held [classes]bool
	for i, w := range b.queue {
		class := w.claim.class
		if held[class] {
			continue
		}
		if b.fits(w, i > 0) {
			return i
		}
		held[class] = true
	}
	return -1
}

// passes reports that w is to be granted before those ahead of it: they wait
// for the elder, and for what is urgent, which must not wait for them.
func (b *Budget) passes(w *waiter) bool {
	return (w.claim == b.elder || w.claim.class == urgent) && b.bounded(w)
}

// bounded reports that w leaves readers their share below twice the limit.
func (b *Budget) bounded(w *waiter) bool {
	reads := b.sum(Read)
	if w.claim.class == Read && w.claim != b.elder {
		reads += w.more
	}
	return b.used+w.more+max(0, b.share(Read)-reads) <= 2*b.limit
}

// fits reports that w, the first of its class, is to be granted; behind, that
// one of another class waits ahead of it.
func (b *Budget) fits(w *waiter, behind bool) bool {
	within := b.sum(w.claim.class)+w.more <= b.share(w.claim.class)
	switch {
	case !behind && b.used+w.more <= b.limit && (within || w.claim.class == Read):
		return true
	case within && b.ownsShare(w) && b.withoutElder()+w.more <= b.limit && b.bounded(w):
		return true
	case b.elder == nil && b.mayBeElder(w, behind):
		b.elder = w.claim
	}
	return b.passes(w)
}

// ownsShare reports that w may have its share although the sum is above the
// limit, or somebody waits ahead of it: a reader, or a writer that could not go on
// beside the elder.
func (b *Budget) ownsShare(w *waiter) bool {
	return w.claim.class == Read || b.elder != nil && w.claim.held > 0
}

// withoutElder returns what all have but the elder and what is urgent.
func (b *Budget) withoutElder() int64 { return b.sum(Read) + b.sum(Write) + b.lentBytes }

// mayBeElder reports that nobody else could help w, the first of its class: it
// keeps others waiting, or it is too large for its share and waits for the other
// class alone.
func (b *Budget) mayBeElder(w *waiter, behind bool) bool {
	class := w.claim.class
	alone := w.more > b.share(class) && b.sums[class] == 0
	return w.claim.held > 0 || alone && (class == Read || !behind)
}

// settleElder ends the elder's right when nothing is beyond the limit any more.
func (b *Budget) settleElder() {
	if b.elder != nil && (b.elder.held == 0 || b.used <= b.limit && b.sums[Write] <= b.share(Write)) {
		b.elder = nil
	}
}
