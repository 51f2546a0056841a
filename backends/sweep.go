package backends

import (
	"context"
	"time"
)

// Leftover is an upload that was cut off. No call shows it, but what has
// arrived of it takes room and costs.
type Leftover struct {
	Key   string    // that the object would have had
	Begun time.Time // by the store's clock
}

// Sweeper is a Bucket in which uploads that were cut off leave something
// behind.
type Sweeper interface {
	Bucket

	// Sweep gives up the uploads that began more than age ago and to whose key
	// ours says yes. Nobody can tell whether an upload is still under way: age
	// has to be longer than any takes. It returns what it has given up, also
	// together with an error.
	Sweep(ctx context.Context, age time.Duration, ours func(key string) bool) ([]Leftover, error)
}
