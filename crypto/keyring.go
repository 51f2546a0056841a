package crypto

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// KeyRing holds the master key that seals and those that only open. It never
// changes and is safe for concurrent use. Make one with [NewKeyRing].
type KeyRing struct {
	keys []MasterKey // the current one first; distinct ids, distinct keys
}

// NewKeyRing returns a ring that seals with current and opens with all of the
// keys. No two of them may have the same id, and none may be there under two
// ids.
func NewKeyRing(current MasterKey, previous ...MasterKey) (*KeyRing, error) {
	if !current.notAfter.IsZero() {
		return nil, fmt.Errorf("key ring: master key %d seals new files, so it cannot have an end: "+
			"take the end away, or seal with another key", current.id)
	}
	r := new(KeyRing)
	for _, k := range append([]MasterKey{current}, previous...) {
		if err := r.add(k); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *KeyRing) add(k MasterKey) error {
	if k.stream == nil {
		return errors.New("key ring: the zero MasterKey is no key")
	}
	for _, other := range r.keys {
		if other.id == k.id {
			return fmt.Errorf("key ring: two master keys have the id %d: "+
				"list each key once, under the id it was first used with", k.id)
		}
		if **other.stream == **k.stream {
			return fmt.Errorf("key ring: master keys %d and %d are one and the same key (fingerprint %s): "+
				"list it once, under the id it was first used with", other.id, k.id, k.fingerprint)
		}
	}
	r.keys = append(r.keys, k)
	return nil
}

// Current returns the key that seals.
func (r *KeyRing) Current() MasterKey { return r.keys[0] }

// Keys returns all keys of the ring, the current one first.
func (r *KeyRing) Keys() []MasterKey { return slices.Clone(r.keys) }

// checkAge refuses what was sealed under k and stored after its end. Only
// somebody to whom k has leaked can have made it.
func (k MasterKey) checkAge(stored time.Time) error {
	if k.notAfter.IsZero() || !stored.After(k.notAfter) {
		return nil
	}
	return fmt.Errorf("%w: master key %d was retired at %s, and the object was stored at %s: "+
		"it was forged, or copied, or sealed on a machine that still used that key", ErrRetiredKey, k.id,
		k.notAfter.UTC().Format(time.RFC3339), stored.UTC().Format(time.RFC3339))
}

func (r *KeyRing) find(id uint32) (MasterKey, error) {
	for _, k := range r.keys {
		if k.id == id {
			return k, nil
		}
	}
	return MasterKey{}, fmt.Errorf("%w: the envelope names id %d, the key ring has %v: "+
		"add that key to the previous master keys", ErrUnknownKey, id, r.ids())
}

func (r *KeyRing) ids() []uint32 {
	ids := make([]uint32, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.id
	}
	return ids
}
