package attachment

import (
	"fmt"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
)

// Codec turns a file into the bytes of its object and back, in place. A frame
// is headroom, content and tailroom in one slice.
type Codec interface {
	// Frame returns the bytes of headroom and tailroom.
	Frame() (head, tail int)
	// PlainSize returns the size of the file in an object of the given size.
	PlainSize(stored int64) (int64, error)
	// Seal turns a frame into the object's bytes.
	Seal(u UUID, frame []byte) error
	// Open verifies the bytes of obj and returns the content, a part of stored.
	Open(u UUID, obj backends.Object, stored []byte) ([]byte, error)
}

// Sealed returns the codec that writes A1 envelopes under ring's current key
// and opens those of all its keys.
func Sealed(ring *crypto.KeyRing) Codec {
	return SealedBy(func() *crypto.KeyRing { return ring })
}

// SealedBy is Sealed with a ring that may be replaced while the codec is in
// use: each file is sealed or opened with what ring returns then.
func SealedBy(ring func() *crypto.KeyRing) Codec { return sealed{ring} }

type sealed struct{ ring func() *crypto.KeyRing }

func (sealed) Frame() (int, int) { return crypto.HeaderSize, crypto.TagSize }

func (sealed) PlainSize(stored int64) (int64, error) { return crypto.PlainSize(stored) }

func (s sealed) Seal(u UUID, frame []byte) error { return s.ring().Seal(u, frame) }

func (s sealed) Open(u UUID, obj backends.Object, stored []byte) ([]byte, error) {
	return s.ring().OpenStored(u, stored, obj.Modified)
}

// unsealed is the codec of plaintext among envelopes. What begins as an envelope
// is none, whatever is wrong with it.
type unsealed struct{ plain }

func (unsealed) Open(_ UUID, _ backends.Object, stored []byte) ([]byte, error) {
	if crypto.HasMagic(stored) {
		return nil, fmt.Errorf("%w: it begins as an envelope, and is no plaintext", crypto.ErrCorrupt)
	}
	return stored, nil
}

// Plain returns the codec of a bucket without encryption: objects are the
// files themselves.
func Plain() Codec { return plain{} }

type plain struct{}

func (plain) Frame() (int, int) { return 0, 0 }

func (plain) PlainSize(stored int64) (int64, error) { return stored, nil }

func (plain) Seal(UUID, []byte) error { return nil }

func (plain) Open(_ UUID, _ backends.Object, stored []byte) ([]byte, error) { return stored, nil }
