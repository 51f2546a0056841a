package attachment

import (
	"context"
	"time"
)

// Patience is how long one operation may take.
type Patience struct {
	Base           time.Duration // for an operation on no bytes
	BytesPerSecond int64         // adds one second for so many bytes; 0 adds nothing
}

// For returns the time allowed for size bytes.
func (p Patience) For(size int64) time.Duration {
	if p.BytesPerSecond == 0 {
		return p.Base
	}
	return p.Base + time.Duration(float64(size)/float64(p.BytesPerSecond)*float64(time.Second))
}

func (p Patience) bound(ctx context.Context, size int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, p.For(size))
}

// Timing holds a Store's deadlines.
type Timing struct {
	Request Patience        // stat, listing page, fetch of an object
	Commit  Patience        // upload, as long as bytes move: a backend gives up one that stands still
	Repeat  time.Duration   // how long after the first try of a file began the next one may begin
	Settle  Patience        // reading back an upload whose answer was lost; its base is also for a look afterwards
	Delete  time.Duration   // unlink, retries included
	Looks   []time.Duration // pauses before each look for an upload whose outcome is open
	Late    time.Duration   // how long a request may arrive after its call has ended
	Listing time.Duration   // how long a listing is believed
	Recent  time.Duration   // how long what was committed here is believed to be there
	Moment  time.Duration   // how long contents are kept, and served without a look at the bucket; 0 to keep none
}

// DefaultTiming returns deadlines that a slow line at 1 MiB/s still meets. That
// of uploads is met by 24 at a time of 16 MB over 12 Mbit/s.
func DefaultTiming() Timing {
	const slow = 1 << 20
	return Timing{
		Request: Patience{Base: 30 * time.Second, BytesPerSecond: slow},
		Commit:  Patience{Base: 10 * time.Minute, BytesPerSecond: slow / 16},
		Repeat:  20 * time.Second,
		Settle:  Patience{Base: 15 * time.Second, BytesPerSecond: slow},
		Delete:  30 * time.Second,
		Looks:   []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute},
		Late:    15 * time.Minute,
		Listing: 5 * time.Second,
		Recent:  10 * time.Second,
		Moment:  5 * time.Second,
	}
}
