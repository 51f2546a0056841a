package unsettled

import (
	"context"
	"slices"
	"time"

	"orthanc-bucketfs/backends"
)

// Try is one attempt to store a key. Its caller ends it with Stored, Refused or
// Open.
type Try struct {
	set *Set
	key string
	n   *name

	mark Mark // of what was sent

	// Repeats reports that earlier uploads of the key are open.
	Repeats bool
	// Repeated is set by the caller if it was sent more than once: another copy may
	// arrive when the key has been stored and deleted.
	Repeated bool
}

// Begin starts a try of key, of which there is a Claim. The error wraps ErrBurnt
// or ErrLate.
func (s *Set) Begin(key string) (*Try, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, now := s.at(key), time.Now()
	if n.deleting > 0 || len(n.owed) > 0 || now.Before(n.burnt) {
		return nil, ErrBurnt
	}
	if len(n.uploads) == 0 || now.Sub(n.ended) > RepeatWindow {
		n.first = now
	}
	if now.Sub(n.first) > s.o.Repeat {
		n.ended = now
		return nil, ErrLate
	}
	return &Try{set: s, key: key, n: n, Repeats: len(n.uploads) > 0}, nil
}

// Adopt looks whether the object under the key is an open upload with the
// caller's content, whole. If it is, it is the caller's to acknowledge, with
// Stored. Without that, and where the store would let the earlier upload replace
// a later one, the error wraps ErrOpen.
func (t *Try) Adopt(ctx context.Context, content [32]byte) (obj backends.Object, ok bool, err error) {
	b := t.set.o.Bucket
	mark, obj, err := markAt(ctx, b, t.key)
	if absentIsFine(err) != nil {
		return backends.Object{}, false, err
	}
	if err == nil {
		obj, ok, err = t.adopt(ctx, mark, obj, content)
	} else {
		err = nil
	}
	if !ok && err == nil && !backends.ConditionsOf(b).Create {
		err = ErrOpen
	}
	return obj, ok, err
}

func (t *Try) adopt(ctx context.Context, mark Mark, obj backends.Object, content [32]byte) (backends.Object, bool, error) {
	t.set.mu.Lock()
	u := t.n.find(mark)
	t.set.mu.Unlock()
	if u == nil || !u.known || u.Content != content {
		return backends.Object{}, false, nil
	}
	same, err := Holds(ctx, t.set.o.Bucket, t.key, obj.Version, u.Size, u.Digest, digestChunk)
	return obj, same && err == nil, absentIsFine(err)
}

// IsOpen reports that an object with the digest is an open upload of the key,
// with the content. If it is under the key, it may be acknowledged, with Stored.
func (t *Try) IsOpen(digest, content [32]byte) bool {
	t.set.mu.Lock()
	defer t.set.mu.Unlock()
	return slices.ContainsFunc(t.n.uploads, func(u *upload) bool {
		return u.known && u.Digest == digest && u.Content == content
	})
}

// Send notes that the object with the mark is about to be sent.
func (t *Try) Send(mark Mark) {
	t.mark = mark
	t.set.o.Journal.begin(t.key, mark)
}

// Stored ends t: the key is stored, and may be acknowledged. The caller calls Told
// when that has been heard.
func (t *Try) Stored() {
	if t.Repeated {
		t.set.open(t.key, &upload{Upload: Upload{Mark: t.mark}})
	}
	t.set.mu.Lock()
	defer t.set.mu.Unlock()
	t.n.stored = len(t.n.uploads) > 0
	t.n.owed = nil
	t.set.o.Journal.store(t.key)
}

// Refused ends t: nothing that was sent can be stored.
func (t *Try) Refused() {
	t.set.mu.Lock()
	defer t.set.mu.Unlock()
	t.n.ended = time.Now()
}

// Open ends t: nobody knows what became of u. It is looked for.
func (t *Try) Open(u Upload) {
	t.set.mu.Lock()
	t.n.ended = time.Now()
	t.set.mu.Unlock()
	t.set.open(t.key, &upload{Upload: u, known: true})
}
