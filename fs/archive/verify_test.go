package archive

import (
	"context"
	"errors"
	"testing"
	"time"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/fs/attachment"
)

func (r *rig) verify(t *testing.T, s *attachment.Store, scope Scope) (Verified, error) {
	t.Helper()
	r.failures, r.looked = nil, 0
	return Verifier{Store: s, Scope: scope, Failed: r.failed, Done: r.done}.Run(t.Context())
}

func TestVerifyFindsWhatIsBad(t *testing.T) {
	r := newRig()
	s := r.store(t, 1)
	r.fill(t, s, 20)
	r.put(t, "index.db", []byte("foreign"))
	flat := uuid(t, 100).String() + ".dcm.enc"
	r.put(t, flat, r.body(t, uuid(t, 3).Key())) // of layout flat, and as good
	found, err := r.verify(t, s, Scope{Jobs: 4})
	if err != nil || found.Good != 21 || found.Bad != 0 || found.Foreign != 1 || r.looked != 21 {
		t.Errorf("%+v, %v, looked at %d", found, err, r.looked)
	}

	flipped := r.body(t, uuid(t, 5).Key())
	flipped[len(flipped)/2] ^= 1
	r.put(t, uuid(t, 5).Key(), flipped)
	short := r.body(t, uuid(t, 6).Key())
	r.put(t, uuid(t, 6).Key(), short[:len(short)-1])
	r.put(t, uuid(t, 7).Key(), []byte("plaintext"))
	r.fill(t, newSealer(t, r, 2, uuid(t, 8)), 0)
	found, err = r.verify(t, r.store(t, 1), Scope{Jobs: 4})
	if err != nil || found.Bad != 4 || found.Good != 17 || len(r.failures) != 4 {
		t.Errorf("%+v, %v, %v", found, err, r.failures)
	}
	for _, f := range r.failures {
		if !f.Bad() {
			t.Errorf("%s is not bad: %v", f.Key, f.Err)
		}
		if f.Key == uuid(t, 8).Key() && f.KeyID() != "2" {
			t.Errorf("key id %q", f.KeyID())
		}
	}
}

// newSealer stores u under another key, and returns the store it did that with.
func newSealer(t *testing.T, r *rig, id uint32, u attachment.UUID) *attachment.Store {
	t.Helper()
	s := r.store(t, id)
	_ = r.mem.Delete(t.Context(), u.Key(), "")
	if _, err := s.Create(u).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// An outage is no damage, and a file that is gone is nothing at all.
func TestVerifyTellsOutagesFromDamage(t *testing.T) {
	r := newRig()
	s := r.store(t, 1)
	r.fill(t, s, 10)
	away := errors.New("no route")
	r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
		switch {
		case c.Op != backendtest.OpRead:
			return nil
		case c.Key == uuid(t, 2).Key():
			return backendtest.Fail(away)
		case c.Key == uuid(t, 3).Key():
			return func(ctx context.Context, q *backendtest.Request) error {
				_ = r.mem.Delete(ctx, c.Key, "")
				return q.Do(ctx)
			}
		}
		return nil
	})
	found, err := r.verify(t, s, Scope{})
	if err != nil || found.Good != 8 || found.Bad != 0 || found.Unreachable != 1 || found.Gone != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	r.faulty.Inject(backendtest.Each(backendtest.OpList, backendtest.Fail(away)))
	if _, err := r.verify(t, s, Scope{}); !errors.Is(err, away) {
		t.Errorf("got %v, want %v", err, away)
	}
}

func TestScope(t *testing.T) {
	r := newRig()
	s := r.store(t, 1)
	r.fill(t, s, 30)
	total := int64(0)
	for shard := range 3 {
		found, err := r.verify(t, s, Scope{Shard: shard, Shards: 3, Jobs: 2})
		if err != nil || found.Good == 0 || found.Good == 30 {
			t.Errorf("shard %d: %+v, %v", shard, found, err)
		}
		total += found.Good
	}
	if total != 30 {
		t.Errorf("three shards have %d objects, want 30", total)
	}
	for _, c := range []struct {
		scope Scope
		want  int64
	}{
		{Scope{Prefix: "0"}, 16},
		{Scope{Prefix: "07/"}, 1},
		{Scope{NewerThan: time.Now().Add(time.Hour)}, 0},
		{Scope{NewerThan: time.Now().Add(-time.Hour)}, 30},
	} {
		if found, err := r.verify(t, s, c.scope); err != nil || found.Good != c.want {
			t.Errorf("%+v: %+v, %v; want %d", c.scope, found, err, c.want)
		}
	}
}
