package attachment

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"orthanc-bucketfs/crypto"
)

// An object under a retired key is read if the store had it before the key's
// end, and refused, with all that is known, if it came later.
func TestStoredAfterTheEndOfItsKey(t *testing.T) {
	keys := make([]crypto.MasterKey, 2)
	for i := range keys {
		key, err := crypto.NewMasterKey(uint32(i), bytes.Repeat([]byte{byte(i + 1)}, 32))
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = key
	}
	ring := func(keys ...crypto.MasterKey) Codec {
		ring, err := crypto.NewKeyRing(keys[0], keys[1:]...)
		if err != nil {
			t.Fatal(err)
		}
		return Sealed(ring)
	}
	r := newRig(t, ring(keys[0]))
	info := store(t, r, testUUID(1), []byte("content"))

	r.codec = ring(keys[1], keys[0].RetiredAfter(info.Modified))
	wantContent(t, r, testUUID(1), []byte("content"))

	r.codec = ring(keys[1], keys[0].RetiredAfter(info.Modified.Add(-time.Second)))
	r.shelf.clear() // as a new daemon
	_, err := load(t, r, testUUID(1))
	wantErr(t, err, crypto.ErrRetiredKey)
	var e *Error
	if !errors.As(err, &e) || e.KeyID != "0" || e.Version != info.Version {
		t.Errorf("the error knows %+v", e)
	}
	store(t, r, testUUID(2), []byte("under the current key"))
	wantContent(t, r, testUUID(2), []byte("under the current key"))
	r.done(t)
}
