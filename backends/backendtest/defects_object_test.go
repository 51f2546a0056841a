package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"orthanc-bucketfs/backends"
)

var errOther = errors.New("no such thing")

// overwrite is a Create that does not look whether the key is taken.
func overwrite(m *Mem) func(context.Context, string, []byte) (backends.Object, error) {
	return func(ctx context.Context, key string, body []byte) (backends.Object, error) {
		_ = m.Delete(ctx, key, "")
		return m.Create(ctx, key, body)
	}
}

func readDefects() []defect {
	return []defect{
		{"stat gives the time of the call", "objects are described alike everywhere", func(b *broken, m *Mem) {
			b.stat = func(ctx context.Context, key string) (backends.Object, error) {
				obj, err := m.Stat(ctx, key)
				obj.Modified = obj.Modified.Add(time.Hour)
				return obj, err
			}
		}},
		{"list quotes versions", "objects are described alike everywhere", func(b *broken, m *Mem) {
			b.list = func(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
				page, err := m.List(ctx, opts)
				for i := range page.Objects {
					page.Objects[i].Version = fmt.Sprintf("%q", page.Objects[i].Version)
				}
				return page, err
			}
		}},
		{"offset is ignored", "reads give the range asked for", func(b *broken, m *Mem) {
			b.read = func(ctx context.Context, key, version string, p []byte, _ int64) (int, backends.Object, error) {
				return m.Read(ctx, key, version, p, 0)
			}
		}},
		{"range beyond the end is an error", "reads give the range asked for", func(b *broken, m *Mem) {
			b.read = func(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
				n, obj, err := m.Read(ctx, key, version, p, off)
				if err == nil && off >= obj.Size {
					err = errOther
				}
				return n, obj, err
			}
		}},
		{"short read is io.EOF", "reads give the range asked for", func(b *broken, m *Mem) {
			b.read = func(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
				n, obj, err := m.Read(ctx, key, version, p, off)
				if err == nil && n < len(p) {
					err = io.EOF
				}
				return n, obj, err
			}
		}},
		{"empty object is not stored", "empty objects are objects", func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				obj, err := m.Create(ctx, key, body)
				if len(body) == 0 {
					_ = m.Delete(ctx, key, "")
				}
				return obj, err
			}
		}},
		{"version is the size", "reads of a version give that or ErrChanged", func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				obj, err := m.Create(ctx, key, body)
				obj.Version = fmt.Sprint(obj.Size)
				m.objects[key] = stored{obj, bytes.Clone(body)}
				return obj, err
			}
		}},
		{"version is ignored", "reads of a version give that or ErrChanged", func(b *broken, m *Mem) {
			b.read = func(ctx context.Context, key, _ string, p []byte, off int64) (int, backends.Object, error) {
				return m.Read(ctx, key, "", p, off)
			}
		}},
		{"stale version is missing", "reads of a version give that or ErrChanged", func(b *broken, m *Mem) {
			b.read = func(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
				n, obj, err := m.Read(ctx, key, version, p, off)
				if errors.Is(err, backends.ErrChanged) {
					err = fs.ErrNotExist
				}
				return n, obj, err
			}
		}},
	}
}

func createDefects() []defect {
	return []defect{
		{"create overwrites", "create never overwrites", func(b *broken, m *Mem) { b.create = overwrite(m) }},
		{"create overwrites and says ErrExist", "create never overwrites", func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				obj, err := m.Create(ctx, key, body)
				if errors.Is(err, fs.ErrExist) {
					_, _ = overwrite(m)(ctx, key, body)
				}
				return obj, err
			}
		}},
		{"create of a taken key says nil", "create never overwrites", func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				if obj, err := m.Stat(ctx, key); err == nil {
					return obj, nil
				}
				return m.Create(ctx, key, body)
			}
		}},
		{"create keeps the caller's slice", "bodies belong to the caller", func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				obj, err := m.Create(ctx, key, body)
				m.objects[key] = stored{obj, body}
				return obj, err
			}
		}},
		{"create changes the body", "bodies belong to the caller", func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				obj, err := m.Create(ctx, key, bytes.Clone(body))
				body[0]++
				return obj, err
			}
		}},
	}
}

func missingDefects() []defect {
	return []defect{
		{"missing is a refusal", "missing objects are ErrNotExist", func(b *broken, m *Mem) {
			b.stat = func(ctx context.Context, key string) (backends.Object, error) {
				obj, err := m.Stat(ctx, key)
				if errors.Is(err, fs.ErrNotExist) {
					err = fs.ErrPermission
				}
				return obj, err
			}
		}},
		{"missing is a refusal as well", "missing objects are ErrNotExist", func(b *broken, m *Mem) {
			b.stat = func(ctx context.Context, key string) (backends.Object, error) {
				obj, err := m.Stat(ctx, key)
				if errors.Is(err, fs.ErrNotExist) {
					err = errors.Join(err, fs.ErrPermission)
				}
				return obj, err
			}
		}},
		{"version of a missing object is changed", "missing objects are ErrNotExist", func(b *broken, m *Mem) {
			b.read = func(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
				n, obj, err := m.Read(ctx, key, version, p, off)
				if err != nil && version != "" {
					err = backends.ErrChanged
				}
				return n, obj, err
			}
		}},
		{"directories can be described", "missing objects are ErrNotExist", func(b *broken, m *Mem) {
			b.stat = func(ctx context.Context, key string) (backends.Object, error) {
				page, _ := m.List(ctx, backends.ListOptions{Prefix: key + "/"})
				if len(page.Objects) > 0 {
					return page.Objects[0], nil
				}
				return m.Stat(ctx, key)
			}
		}},
	}
}

func deleteDefects() []defect {
	return []defect{
		{"delete of nothing fails", "delete removes, and succeeds without an object", func(b *broken, m *Mem) {
			b.remove = func(ctx context.Context, key, _ string) error {
				if _, err := m.Stat(ctx, key); err != nil {
					return err
				}
				return m.Delete(ctx, key, "")
			}
		}},
		{"delete does nothing", "delete removes, and succeeds without an object", func(b *broken, _ *Mem) {
			b.remove = func(context.Context, string, string) error { return nil }
		}},
		{"delete removes all below", "delete removes, and succeeds without an object", func(b *broken, m *Mem) {
			b.remove = func(ctx context.Context, key, _ string) error {
				for obj := range backends.All(ctx, m, key+"/") {
					_ = m.Delete(ctx, obj.Key, "")
				}
				return m.Delete(ctx, key, "")
			}
		}},
	}
}

func keyDefects() []defect {
	return []defect{
		{"keys are cleaned", "invalid keys are refused", func(b *broken, m *Mem) {
			b.create = func(ctx context.Context, key string, body []byte) (backends.Object, error) {
				return m.Create(ctx, path.Clean(key), body)
			}
		}},
		{"invalid keys are missing", "invalid keys are refused", func(b *broken, m *Mem) {
			b.stat = func(ctx context.Context, key string) (backends.Object, error) {
				obj, err := m.Stat(ctx, key)
				if errors.Is(err, backends.ErrInvalidKey) {
					err = fs.ErrNotExist
				}
				return obj, err
			}
		}},
		{"errors are bare", "errors tell the call and the key", func(b *broken, m *Mem) {
			b.stat = func(ctx context.Context, key string) (backends.Object, error) {
				obj, err := m.Stat(ctx, key)
				return obj, errors.Unwrap(err)
			}
		}},
		{"errors name another call", "errors tell the call and the key", func(b *broken, m *Mem) {
			b.read = func(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
				obj, err := m.Stat(ctx, key)
				return 0, obj, err
			}
		}},
	}
}
