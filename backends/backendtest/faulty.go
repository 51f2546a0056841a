package backendtest

import (
	"context"
	"errors"
	"sync"

	"orthanc-bucketfs/backends"
)

// Op names a method of backends.Bucket, as backends.Error does.
type Op string

const (
	OpStat    Op = "stat"
	OpRead    Op = "read"
	OpCreate  Op = "create"
	OpReplace Op = "replace"
	OpDelete  Op = "delete"
	OpList    Op = "list"
)

// Call describes one call to a Faulty bucket.
type Call struct {
	Op  Op
	N   int    // 1 for the first call of Op since the start or the last Reset
	Key string // object key, or the prefix of a listing
	Off int64  // of a Read
	Len int    // bytes asked of a Read, or given to a Create or Replace

	Version string // that a Read, Replace or Delete is about
}

// A Rule chooses the fault for a call; nil leaves the call alone. Rules run one
// at a time, in the order in which the calls arrive, and must not use the
// Faulty bucket themselves: its lock is held.
type Rule func(Call) Fault

// Faulty passes calls on to another bucket, counts them, and does to them what
// its rules say. Without a rule it keeps every promise that the inner bucket
// keeps.
type Faulty struct {
	inner backends.Bucket

	mu    sync.Mutex // guards the fields below
	rules []Rule
	calls map[Op]int
}

// NewFaulty returns a bucket without rules around inner.
func NewFaulty(inner backends.Bucket) *Faulty {
	return &Faulty{inner: inner, calls: make(map[Op]int)}
}

// Inject replaces all rules. The first rule with a fault for a call decides.
// Calls already under way keep theirs.
func (f *Faulty) Inject(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = rules
}

// Calls returns how many calls of the given ops, or of all when none is given,
// have arrived since the start or the last Reset. A call counts when it begins,
// whatever becomes of it.
func (f *Faulty) Calls(ops ...Op) int {
	if len(ops) == 0 {
		ops = []Op{OpStat, OpRead, OpCreate, OpReplace, OpDelete, OpList}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, op := range ops {
		n += f.calls[op]
	}
	return n
}

// Reset sets all counts to zero and removes all rules.
func (f *Faulty) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.calls)
	f.rules = nil
}

// Unwrap returns the inner bucket.
func (f *Faulty) Unwrap() backends.Bucket { return f.inner }

func (f *Faulty) String() string { return f.inner.String() }

func (f *Faulty) Stat(ctx context.Context, key string) (obj backends.Object, err error) {
	err = f.run(ctx, &Request{
		Call: Call{Op: OpStat, Key: key},
		do: func(ctx context.Context) (err error) {
			obj, err = f.inner.Stat(ctx, key)
			return err
		},
	})
	if err != nil {
		return backends.Object{}, err
	}
	return obj, nil
}

func (f *Faulty) Read(ctx context.Context, key, version string, p []byte, off int64) (n int, obj backends.Object, err error) {
	r := &Request{Call: Call{Op: OpRead, Key: key, Off: off, Len: len(p), Version: version}}
	r.do = func(ctx context.Context) (err error) {
		n, obj, err = f.inner.Read(ctx, key, version, p, off)
		r.body = p[:n]
		return err
	}
	if err := f.run(ctx, r); err != nil {
		return len(r.body), backends.Object{}, err
	}
	return n, obj, nil
}

func (f *Faulty) Create(ctx context.Context, key string, body []byte) (obj backends.Object, err error) {
	err = f.run(ctx, &Request{
		Call: Call{Op: OpCreate, Key: key, Len: len(body)},
		do: func(ctx context.Context) (err error) {
			obj, err = f.inner.Create(ctx, key, body)
			return err
		},
	})
	if err != nil {
		return backends.Object{}, err
	}
	return obj, nil
}

func (f *Faulty) Replace(ctx context.Context, key, version string, body []byte) (obj backends.Object, err error) {
	err = f.run(ctx, &Request{
		Call: Call{Op: OpReplace, Key: key, Len: len(body), Version: version},
		do: func(ctx context.Context) (err error) {
			obj, err = f.inner.Replace(ctx, key, version, body)
			return err
		},
	})
	if err != nil {
		return backends.Object{}, err
	}
	return obj, nil
}

func (f *Faulty) Delete(ctx context.Context, key, version string) error {
	return f.run(ctx, &Request{
		Call: Call{Op: OpDelete, Key: key, Version: version},
		do: func(ctx context.Context) error {
			return f.inner.Delete(ctx, key, version)
		},
	})
}

func (f *Faulty) List(ctx context.Context, opts backends.ListOptions) (page backends.Page, err error) {
	err = f.run(ctx, &Request{
		Call: Call{Op: OpList, Key: opts.Prefix},
		do: func(ctx context.Context) (err error) {
			page, err = f.inner.List(ctx, opts)
			return err
		},
	})
	if err != nil {
		return backends.Page{}, err
	}
	return page, nil
}

// run counts the call and carries it out, through its fault if it has one.
func (f *Faulty) run(ctx context.Context, r *Request) error {
	fault := f.admit(r)
	if fault == nil {
		return r.do(ctx)
	}
	err := fault(ctx, r)
	var wrapped *backends.Error
	if err == nil || errors.As(err, &wrapped) {
		return err
	}
	return &backends.Error{Op: string(r.Op), Key: r.Key, Err: err}
}

func (f *Faulty) admit(r *Request) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[r.Op]++
	r.N = f.calls[r.Op]
	for _, rule := range f.rules {
		if fault := rule(r.Call); fault != nil {
			return fault
		}
	}
	return nil
}
