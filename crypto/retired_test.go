package crypto

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// What was stored up to the end of a key opens, and nothing later; without an
// end, and under other keys, time does not matter.
func TestRetiredKey(t *testing.T) {
	end := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	old, current := testKey(t, 1, 1), testKey(t, 2, 2)
	ring, err := NewKeyRing(current, old.RetiredAfter(end))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		key    MasterKey
		stored time.Time
		want   error
	}{
		{"long before", old, end.AddDate(-1, 0, 0), nil},
		{"at the end", old, end.In(time.FixedZone("", 3600)), nil},
		{"just after", old, end.Add(time.Nanosecond), ErrRetiredKey},
		{"long after", old, end.AddDate(1, 0, 0), ErrRetiredKey},
		{"unknown time", old, time.Time{}, nil},
		{"current key", current, end.AddDate(1, 0, 0), nil},
	} {
		alone, err := NewKeyRing(test.key)
		if err != nil {
			t.Fatal(err)
		}
		sealed := seal(t, alone, []byte("content"))
		before := bytes.Clone(sealed)
		got, err := ring.OpenStored(fileA, sealed, test.stored)
		if !errors.Is(err, test.want) || test.want == nil && string(got) != "content" {
			t.Errorf("%s: %q, %v, want %v", test.name, got, err, test.want)
		}
		if test.want != nil && (got != nil || !bytes.Equal(sealed, before)) {
			t.Errorf("%s: a refused envelope was unsealed", test.name)
		}
	}
	if got := ring.Keys()[1].NotAfter(); !got.Equal(end) {
		t.Errorf("the key ends at %v", got)
	}
}

func TestCurrentKeyHasNoEnd(t *testing.T) {
	if _, err := NewKeyRing(testKey(t, 1, 1).RetiredAfter(time.Now())); err == nil {
		t.Error("a retired key seals new files")
	}
}
