package attachment

import "time"

// Kind says what an Operation does.
type Kind string

const (
	Looked  Kind = "stat"
	Fetched Kind = "read"
	Stored  Kind = "store"
	Deleted Kind = "delete"
	Listed  Kind = "list" // one page
)

// Operation is one that has ended.
type Operation struct {
	Kind       Kind
	Key        string // of the object, below the root path; or the prefix of a listing
	Size       int64  // bytes of the file, if it was read or stored
	Duration   time.Duration
	FromMemory bool // it took no request of its own
	Err        error
}

// operation is one under way.
type operation struct {
	Operation
	begin   time.Time
	observe func(Operation)
}

// begin starts to measure an operation. The caller ends it.
func (s *Store) begin(kind Kind, key string) *operation {
	return &operation{Operation{Kind: kind, Key: key}, time.Now(), s.observe}
}

func (o *operation) end(size int64, err error) {
	if o.observe == nil {
		return
	}
	o.Duration, o.Err = time.Since(o.begin), err
	if err == nil {
		o.Size = size
	}
	o.observe(o.Operation)
}
