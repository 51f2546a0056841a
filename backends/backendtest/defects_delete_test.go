package backendtest

import (
	"context"
	"sync/atomic"
	"time"

	"orthanc-bucketfs/backends"
)

func conditionalDeleteDefects() []defect {
	return []defect{
		{"delete of a version does nothing", "delete of a version removes that one", func(b *broken, m *Mem) {
			b.remove = func(ctx context.Context, key, version string) error {
				if version != "" {
					return nil
				}
				return m.Delete(ctx, key, version)
			}
		}},
		{"delete of a version without an object is refused", "delete of a version removes that one", func(b *broken, m *Mem) {
			b.remove = func(ctx context.Context, key, version string) error {
				if _, err := m.Stat(ctx, key); err != nil {
					return err
				}
				return m.Delete(ctx, key, version)
			}
		}},
		{"delete ignores the version", "delete of a version never touches another", func(b *broken, m *Mem) {
			b.remove = func(ctx context.Context, key, _ string) error { return m.Delete(ctx, key, "") }
		}},
		{"delete of another version is silent", "delete of a version never touches another", func(b *broken, m *Mem) {
			b.remove = func(ctx context.Context, key, version string) error {
				_ = m.Delete(ctx, key, version)
				return nil
			}
		}},
		{"delete looks and then removes a replacement", "a replace or a delete of one version wins", func(b *broken, m *Mem) {
			b.remove = lookThenDelete(m)
		}},
		{"delete looks and then removes what was stored since", "what is stored after a delete of another version stays", func(b *broken, m *Mem) {
			b.remove = lookThenDelete(m)
		}},
	}
}

// lookThenDelete is a Delete that looks at the version, and a moment later
// removes whatever is there by then. Some take longer than others.
func lookThenDelete(m *Mem) func(context.Context, string, string) error {
	const longest = 4 // moments
	var calls atomic.Int32
	return func(ctx context.Context, key, version string) error {
		obj, err := m.Stat(ctx, key)
		if version != "" && (err != nil || !sameVersion(obj, version)) {
			return &backends.Error{Op: "delete", Key: key, Err: backends.ErrChanged}
		}
		time.Sleep(time.Duration(1+calls.Add(1)%longest) * aMoment)
		return m.Delete(ctx, key, "")
	}
}
