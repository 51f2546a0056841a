package backendtest

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"orthanc-bucketfs/backends"
)

func callDefects() []defect {
	const (
		oneWinner = "one of many creates wins"
		partial   = "no part of an object is ever visible"
		many      = "calls may be concurrent"
		ranged    = "large objects can be read in parallel ranges"
	)
	return []defect{
		{"every create succeeds", oneWinner, func(b *broken, m *Mem) {
			var mu sync.Mutex
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				mu.Lock()
				defer mu.Unlock()
				return overwrite(m)(ctx, key, body)
			}
		}},
		{"a loser's body stays", oneWinner, func(b *broken, m *Mem) {
			var mu sync.Mutex
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				mu.Lock()
				defer mu.Unlock()
				obj, err := m.Create(ctx, key, body)
				if err != nil {
					_, _ = overwrite(m)(ctx, key, body)
				}
				return obj, err
			}
		}},
		{"no create succeeds", oneWinner, func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				_, _ = m.Create(ctx, key, body)
				return m.Create(ctx, key, body)
			}
		}},
		{"half an object is visible", partial, visibleHalf},
		{"read begins with an older object", many, olderHalf},
		{"reads are cut at 8 MiB", ranged, func(b *broken, m *Mem) {
			b.read = func(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
				return m.Read(ctx, key, version, p[:min(len(p), 8<<20)], off)
			}
		}},
		{"parallel reads are refused", ranged, func(b *broken, m *Mem) {
			b.read = func(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
				if off > 0 && len(p) < 1<<20 {
					return 0, backends.Object{}, errOther
				}
				return m.Read(ctx, key, version, p, off)
			}
		}},
	}
}

func contextDefects() []defect {
	const (
		canceled = "cancelled calls fail and leave nothing"
		deadline = "calls past their deadline fail and leave nothing"
		underWay = "creates cancelled under way leave all or nothing"
	)
	return []defect{
		{"context is ignored", canceled, ignoreContext},
		{"cancelled create stores", canceled, storeAnyway},
		{"deadline is ignored", deadline, ignoreContext},
		{"create past its deadline stores", deadline, storeAnyway},
		{"end of the context is a plain error", deadline, func(b *broken, m *Mem) {
			b.stat = func(ctx context.Context, key string) (backends.Object, error) {
				obj, err := m.Stat(ctx, key)
				if ctx.Err() != nil {
					err = errOther
				}
				return obj, err
			}
		}},
		{"cancelled create leaves half", underWay, func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				<-ctx.Done()
				_, _ = m.Create(context.WithoutCancel(ctx), key, body[:len(body)/2])
				return backends.Object{}, ctx.Err()
			}
		}},
		{"cancellation under way is a plain error", underWay, func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				<-ctx.Done()
				return backends.Object{}, errOther
			}
		}},
		{"cancelled create says nil", underWay, func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				<-ctx.Done()
				return backends.Object{Key: key}, nil
			}
		}},
	}
}

// visibleHalf stores half of each body, until somebody has read it.
func visibleHalf(b *broken, m *Mem) {
	seen := make(chan struct{})
	var once sync.Once
	b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
		if _, err := m.Create(ctx, key, body[:len(body)/2]); err != nil {
			return backends.Object{}, err
		}
		<-seen
		return overwrite(m)(ctx, key, body)
	}
	b.read = func(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
		n, obj, err := m.Read(ctx, key, version, p, off)
		if err == nil {
			once.Do(func() { close(seen) })
		}
		return n, obj, err
	}
}

func ignoreContext(b *broken, m *Mem) {
	b.stat = func(ctx context.Context, key string) (backends.Object, error) {
		return m.Stat(context.WithoutCancel(ctx), key)
	}
}

func storeAnyway(b *broken, m *Mem) {
	b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
		obj, err := m.Create(context.WithoutCancel(ctx), key, body)
		return obj, errors.Join(err, ctx.Err())
	}
}

// olderHalf starts every Read with bytes of the first object that had the key.
func olderHalf(b *broken, m *Mem) {
	var first sync.Map
	b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
		obj, err := m.Create(ctx, key, body)
		if err == nil {
			first.LoadOrStore(key, bytes.Clone(body))
		}
		return obj, err
	}
	b.read = func(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
		n, obj, err := m.Read(ctx, key, version, p, off)
		if old, ok := first.Load(key); ok && err == nil && off == 0 {
			copy(p[:n/2], old.([]byte))
		}
		return n, obj, err
	}
}
