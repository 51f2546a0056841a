package backends

import "context"

// Finding is the outcome of one item of an examination, for people.
type Finding struct {
	Item    string // what was looked at, in a word or two, as in "clock"
	Detail  string // what was found to be in order
	Warning string // what works, but should not stay as it is, and what to do; empty if nothing
	Err     error  // why the bucket cannot be used as it is, and what to do; nil if nothing
	Skipped string // the item whose failure kept this one from being looked at; empty if it was
}

// Inspector is a Bucket that can examine what only its provider knows of: the
// way to it, credentials, clocks, permissions, and the abilities of the store.
type Inspector interface {
	Bucket

	// Inspect examines the bucket with a few requests and reports item by
	// item, in an order in which a failure explains those after it. It may
	// store objects whose keys begin with scratch, and deletes them. What it
	// learns of the store's abilities holds for later calls.
	Inspect(ctx context.Context, scratch string) []Finding
}

// Conditions are the conditional requests that a store honours.
type Conditions struct {
	Create bool // a Create never overwrites, however late it arrives
	Delete bool // a Delete of a version never removes another one, however late it arrives
}

// Conditional is a Bucket whose store may lack conditional requests. Every
// other bucket honours all of them.
type Conditional interface {
	Bucket

	// Conditions returns what is known of the store by now: Inspect finds it out.
	Conditions() Conditions
}

// ConditionsOf returns what b, or the bucket that it wraps, honours.
func ConditionsOf(b Bucket) Conditions {
	if c, ok := As[Conditional](b); ok {
		return c.Conditions()
	}
	return Conditions{Create: true, Delete: true}
}

// As returns the first of b and the buckets it wraps that is a T.
func As[T Bucket](b Bucket) (T, bool) {
	for {
		if found, ok := b.(T); ok {
			return found, true
		}
		wrapper, ok := b.(interface{ Unwrap() Bucket })
		if !ok {
			var none T
			return none, false
		}
		b = wrapper.Unwrap()
	}
}
