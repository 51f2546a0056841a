package backendtest

import (
	"bytes"
	"context"
	"io/fs"
	"strconv"
	"sync"
	"time"

	"orthanc-bucketfs/backends"
)

// Mem is a bucket in memory: the reference implementation, and a quick store
// for the tests of other packages.
type Mem struct {
	mu      sync.Mutex // guards the fields below
	objects map[string]stored
	created int // objects ever created; numbers the versions
}

type stored struct {
	backends.Object
	body []byte // never changed once stored
}

// NewMem returns an empty bucket.
func NewMem() *Mem {
	return &Mem{objects: make(map[string]stored)}
}

func (m *Mem) Stat(ctx context.Context, key string) (backends.Object, error) {
	o, err := m.get(ctx, "stat", key)
	return o.Object, err
}

func (m *Mem) Read(ctx context.Context, key, version string, p []byte, off int64) (int, backends.Object, error) {
	o, err := m.get(ctx, "read", key)
	if err != nil {
		return 0, backends.Object{}, err
	}
	if version != "" && version != o.Version {
		return 0, backends.Object{}, &backends.Error{Op: "read", Key: key, Err: backends.ErrChanged}
	}
	if off < 0 {
		return 0, backends.Object{}, &backends.Error{Op: "read", Key: key, Err: fs.ErrInvalid}
	}
	return copy(p, o.body[min(off, o.Size):]), o.Object, nil
}

func (m *Mem) Create(ctx context.Context, key string, body []byte) (backends.Object, error) {
	if err := admit(ctx, "create", key); err != nil {
		return backends.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.objects[key]; taken {
		return backends.Object{}, &backends.Error{Op: "create", Key: key, Err: fs.ErrExist}
	}
	return m.put(key, body), nil
}

func (m *Mem) Replace(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
	if err := admit(ctx, "replace", key); err != nil {
		return backends.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.objects[key]; !ok || o.Version != version {
		return backends.Object{}, &backends.Error{Op: "replace", Key: key, Err: backends.ErrChanged}
	}
	return m.put(key, body), nil
}

// put stores an object. The caller holds m.mu.
func (m *Mem) put(key string, body []byte) backends.Object {
	m.created++
	obj := backends.Object{
		Key:      key,
		Size:     int64(len(body)),
		Modified: time.Now().Round(0),
		Version:  strconv.Itoa(m.created),
	}
	m.objects[key] = stored{obj, bytes.Clone(body)}
	return obj
}

func (m *Mem) Delete(ctx context.Context, key, version string) error {
	if err := admit(ctx, "delete", key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if version != "" && m.objects[key].Version != version {
		return &backends.Error{Op: "delete", Key: key, Err: backends.ErrChanged}
	}
	delete(m.objects, key)
	return nil
}

func (m *Mem) String() string { return "memory" }

func (m *Mem) get(ctx context.Context, op, key string) (stored, error) {
	if err := admit(ctx, op, key); err != nil {
		return stored{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return stored{}, &backends.Error{Op: op, Key: key, Err: fs.ErrNotExist}
	}
	return o, nil
}

// admit refuses an invalid key and a call whose context has ended.
func admit(ctx context.Context, op, key string) error {
	if err := backends.CheckKey(op, key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &backends.Error{Op: op, Key: key, Err: err}
	}
	return nil
}
