package archive

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

const testLimit = 1 << 20

// rig is a bucket in memory, and what a run tells.
type rig struct {
	mem    *backendtest.Mem
	faulty *backendtest.Faulty

	mu       sync.Mutex // guards the fields below
	failures []Failure
	looked   int
}

func newRig() *rig {
	mem := backendtest.NewMem()
	return &rig{mem: mem, faulty: backendtest.NewFaulty(mem)}
}

func key(t testing.TB, id uint32) crypto.MasterKey {
	t.Helper()
	k, err := crypto.NewMasterKey(id, bytes.Repeat([]byte{byte(id)}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// store returns a Store that seals with the first key and opens with all.
func (r *rig) store(t testing.TB, ids ...uint32) *attachment.Store {
	t.Helper()
	return r.mixed(t, false, ids...)
}

func (r *rig) mixed(t testing.TB, acceptPlaintext bool, ids ...uint32) *attachment.Store {
	t.Helper()
	var keys []crypto.MasterKey
	for _, id := range ids {
		keys = append(keys, key(t, id))
	}
	ring, err := crypto.NewKeyRing(keys[0], keys[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	b := budget.New(testLimit, time.Minute)
	s := attachment.NewStore(attachment.Options{
		Bucket: r.faulty, Layout: attachment.Flat, Codec: attachment.Sealed(ring), Budget: b,
		Log: slog.New(slog.DiscardHandler), Timing: attachment.DefaultTiming(), AcceptPlaintext: acceptPlaintext,
	})
	t.Cleanup(func() {
		s.Close()
		if u := b.Usage(); u.Used != 0 || u.Lent != 0 {
			t.Errorf("%d bytes are in use at the end", u.Used)
		}
	})
	return s
}

func uuid(t testing.TB, n int) attachment.UUID {
	t.Helper()
	u, ok := attachment.ParseUUID(fmt.Sprintf("%02x%02x0000-1111-4222-8333-%012x", n%256, n*7%256, n))
	if !ok {
		t.Fatalf("%d makes no UUID", n)
	}
	return u
}

func content(n int) []byte { return bytes.Repeat([]byte{byte(n), byte(n >> 8)}, 50*n) }

// fill stores files 0 to n-1 through s.
func (r *rig) fill(t testing.TB, s *attachment.Store, n int) {
	t.Helper()
	for i := range n {
		w := s.Create(uuid(t, i))
		if err := w.WriteAt(t.Context(), content(i), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// wantFile reports a file that s does not open, or opens to something else.
func (r *rig) wantFile(t testing.TB, s *attachment.Store, n int) {
	t.Helper()
	info, err := s.Stat(t.Context(), uuid(t, n))
	if err != nil {
		t.Errorf("file %d: %v", n, err)
		return
	}
	f, err := s.Open(t.Context(), info)
	if err != nil {
		t.Errorf("file %d: %v", n, err)
		return
	}
	defer f.Close()
	got := make([]byte, info.Size)
	f.ReadAt(got, 0)
	if !bytes.Equal(got, content(n)) {
		t.Errorf("file %d: %d other bytes", n, len(got))
	}
}

func (r *rig) failed(f Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, f)
}

func (r *rig) done(attachment.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looked++
}

// body returns the bytes of an object.
func (r *rig) body(t testing.TB, key string) []byte {
	t.Helper()
	p := make([]byte, testLimit)
	n, _, err := r.mem.Read(t.Context(), key, "", p, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p[:n]
}

// put makes an object of body, in the place of any other.
func (r *rig) put(t testing.TB, key string, body []byte) {
	t.Helper()
	_ = r.mem.Delete(t.Context(), key, "")
	if _, err := r.mem.Create(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}

// farFuture is after everything.
func farFuture() time.Time { return time.Now().Add(time.Hour) }

func atOnce(context.Context, attachment.Record) error { return nil }
