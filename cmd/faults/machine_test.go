package faults_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

// machine is one of those that share a bucket: a store, and what it has logged.
type machine struct {
	*attachment.Store
	log *logbook
}

// newMachine returns a machine on a bucket, whose calls may take patience, and
// a little more if they are large. It goes on trying to delete for a time of its
// own.
func newMachine(t testing.TB, b backends.Bucket, patience, deletes time.Duration) *machine {
	t.Helper()
	const perSecond = 2 << 20
	log := &logbook{reported: map[string]bool{}}
	call := attachment.Patience{Base: patience, BytesPerSecond: perSecond}
	return &machine{log: log, Store: attachment.NewStore(attachment.Options{
		Bucket: b,
		Codec:  attachment.Sealed(ring(t)),
		Budget: budget.New(256<<20, time.Minute),
		Log:    slog.New(log),
		Timing: attachment.Timing{
			Request: call,
			Commit:  call,
			Settle:  call,
			Delete:  deletes,
			Looks:   []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 20 * time.Second},
			Late:    30 * time.Second,
			Repeat:  patience,
		},
	})}
}

// ring is the same for all machines.
func ring(t testing.TB) *crypto.KeyRing {
	t.Helper()
	key, err := crypto.NewMasterKey(1, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.NewKeyRing(key)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// store makes an attachment of content.
func (m *machine) store(ctx context.Context, u attachment.UUID, content []byte) error {
	w := m.Create(u)
	defer w.Discard()
	if err := w.WriteAt(ctx, content, 0); err != nil {
		return err
	}
	_, err := w.Commit(ctx)
	return err
}

// read returns the content of an attachment.
func (m *machine) read(ctx context.Context, u attachment.UUID) ([]byte, error) {
	info, err := m.Stat(ctx, u)
	if err != nil {
		return nil, err
	}
	return m.open(ctx, info)
}

// open returns the content of an attachment that was described before.
func (m *machine) open(ctx context.Context, info attachment.Info) ([]byte, error) {
	f, err := m.Open(ctx, info)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content := make([]byte, info.Size)
	if n := f.ReadAt(content, 0); n != len(content) {
		return nil, fmt.Errorf("%d bytes of %d", n, len(content))
	}
	return content, nil
}

func newUUID() attachment.UUID {
	var u attachment.UUID
	rand.Read(u[:])
	return u
}

// content returns size bytes that are those of this attachment alone.
func content(u attachment.UUID, size int) []byte {
	p := make([]byte, 0, size+sha256.Size)
	for block := sha256.Sum256(u[:]); len(p) < size; block = sha256.Sum256(block[:]) {
		p = append(p, block[:]...)
	}
	return p[:size]
}

// logbook remembers which objects errors were logged about.
type logbook struct {
	mu       sync.Mutex
	reported map[string]bool
}

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logbook) WithGroup(string) slog.Handler            { return l }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	if r.Level < slog.LevelError {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "key" {
			l.reported[a.Value.String()] = true
		}
		return true
	})
	return nil
}

func (l *logbook) has(u attachment.UUID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reported[u.Key()]
}

// news returns the sentinels that say something about an object, which trouble
// must not be taken for.
func news() []error { return []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission} }

// names tells whether a log line about err names the object.
func names(err error, key string) bool {
	for _, a := range attachment.Attrs(err) {
		if a, ok := a.(slog.Attr); ok && a.Key == "key" && a.Value.String() == key {
			return true
		}
	}
	return false
}
