package backendtest

import (
	"context"
	"sync/atomic"
	"time"

	"orthanc-bucketfs/backends"
)

// blindly is a Replace that looks at the version, and then overwrites whatever
// is there by then.
func blindly(m *Mem, look func(obj backends.Object, version string) bool) func(context.Context, string, string, []byte) (backends.Object, error) {
	return func(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
		obj, err := m.Stat(ctx, key)
		if err != nil || !look(obj, version) {
			return backends.Object{}, &backends.Error{Op: "replace", Key: key, Err: backends.ErrChanged}
		}
		return overwrite(m)(ctx, key, body)
	}
}

// aMoment is long enough for somebody who reads all the time.
const aMoment = 10 * time.Millisecond

func sameVersion(obj backends.Object, version string) bool { return obj.Version == version }

func replaceDefects() []defect {
	return []defect{
		{"replace does nothing", "replace takes the place of one version", func(b *broken, m *Mem) {
			b.replace = func(ctx context.Context, key, version string, _ []byte) (backends.Object, error) {
				return m.Stat(ctx, key)
			}
		}},
		{"replace leaves a copy", "replace takes the place of one version", func(b *broken, m *Mem) {
			b.replace = func(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
				_, _ = m.Create(ctx, key+".old", nil)
				return m.Replace(ctx, key, version, body)
			}
		}},
		{"replace wipes the body", "replace takes the place of one version", func(b *broken, m *Mem) {
			b.replace = func(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
				defer clear(body)
				return m.Replace(ctx, key, version, body)
			}
		}},
		{"replace ignores the version", "replace never touches another version", func(b *broken, m *Mem) {
			b.replace = blindly(m, func(backends.Object, string) bool { return true })
		}},
		{"replace creates", "replace never touches another version", func(b *broken, m *Mem) {
			b.replace = func(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
				if obj, err := m.Create(ctx, key, body); err == nil {
					return obj, nil
				}
				return m.Replace(ctx, key, version, body)
			}
		}},
		{"replaces that looked in time all succeed", "one of many replaces wins", func(b *broken, m *Mem) {
			const inTime = 8
			var calls atomic.Int32
			b.replace = func(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
				if calls.Add(1) <= inTime {
					return overwrite(m)(ctx, key, body)
				}
				return m.Replace(ctx, key, version, body)
			}
		}},
		{"replace resurrects", "what is deleted stays deleted", func(b *broken, m *Mem) {
			b.replace = func(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
				obj, err := m.Replace(ctx, key, version, body)
				if err != nil {
					return overwrite(m)(ctx, key, body)
				}
				return obj, nil
			}
		}},
		{"replace shows a part", "replaced as a whole, or not at all", func(b *broken, m *Mem) {
			b.replace = func(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
				obj, err := m.Replace(ctx, key, version, body[:len(body)/2])
				if err != nil {
					return obj, err
				}
				time.Sleep(aMoment)
				return m.Replace(ctx, key, obj.Version, body)
			}
		}},
		{"replaced is missing for a moment", "replaced as a whole, or not at all", func(b *broken, m *Mem) {
			b.replace = blindly(m, func(obj backends.Object, version string) bool {
				_ = m.Delete(context.Background(), obj.Key, "")
				time.Sleep(aMoment)
				return sameVersion(obj, version)
			})
		}},
	}
}
