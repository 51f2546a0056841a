package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Sizes of the parts of an envelope, in bytes.
const (
	HeaderSize = 70
	TagSize    = 16
	Overhead   = HeaderSize + TagSize
)

const (
	magic     = "A1"
	keySize   = 32
	nonceSize = 32

	keyIDAt = len(magic)
	nonceAt = keyIDAt + 4
	keyAt   = nonceAt + nonceSize

	maxPlainSize = (1<<32 - 2) * aes.BlockSize // of GCM
)

var (
	// ErrCorrupt reports bytes that are not, or not any more, an A1 envelope
	// sealed under the master key they name.
	ErrCorrupt = errors.New("A1 envelope is corrupt")
	// ErrUnknownKey reports an envelope whose master key is not on the ring.
	ErrUnknownKey = errors.New("unknown master key")
	// ErrRetiredKey reports an envelope that was stored after the end of its
	// master key.
	ErrRetiredKey = errors.New("stored after its master key was retired")
)

// Seal turns buf into an envelope, in place, under the current key, with a data
// key and a nonce of its own. buf holds HeaderSize bytes of any content, the
// plaintext, and TagSize bytes of any content. On error buf is unchanged.
//
// file is the UUID of the attachment. A1 does not bind it.
func (r *KeyRing) Seal(file [16]byte, buf []byte) error {
	if err := checkSize(int64(len(buf))); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	secret := new(dataSecret)
	defer secret.wipe()
	rand.Read(secret.nonce[:])
	rand.Read(secret.key[:])
	aead, err := secret.cipher()
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	r.Current().mask(secret).put(buf)
	body := buf[HeaderSize:]
	aead.Seal(body[:0], secret.nonce[:], body[:len(body)-TagSize], buf[:HeaderSize])
	return nil
}

// Open verifies the envelope in sealed and decrypts it in place. The plaintext
// it returns is a part of sealed. Errors about the envelope wrap ErrCorrupt or
// ErrUnknownKey. After any error sealed holds no plaintext, and its header is
// still there for [KeyID].
//
// file is the UUID of the attachment. A1 does not bind it.
//
// The end of a key counts only for [KeyRing.OpenStored], which knows a time.
func (r *KeyRing) Open(file [16]byte, sealed []byte) ([]byte, error) {
	return r.OpenStored(file, sealed, time.Time{})
}

// OpenStored is [KeyRing.Open] for an envelope that was stored at the given
// time, as the store of the object tells it. If that is after the end of the
// key, the error wraps ErrRetiredKey.
func (r *KeyRing) OpenStored(file [16]byte, sealed []byte, stored time.Time) ([]byte, error) {
	h, err := parseHeader(sealed)
	if err != nil {
		return nil, err
	}
	key, err := r.find(h.keyID)
	if err != nil {
		return nil, err
	}
	if err := key.checkAge(stored); err != nil {
		return nil, err
	}
	secret := key.unmask(h)
	defer secret.wipe()
	aead, err := secret.cipher()
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	body := sealed[HeaderSize:]
	plain, err := aead.Open(body[:0], secret.nonce[:], body, sealed[:HeaderSize])
	if err != nil {
		// cipher.AEAD allows plaintext to be left in its output after a failure.
		clear(body)
		return nil, fmt.Errorf("%w: the tag does not match under master key %d: "+
			"the object was changed, or was sealed with another key of that id", ErrCorrupt, h.keyID)
	}
	return plain[:len(plain):len(plain)], nil
}

// PlainSize returns the size of the file inside an envelope of the given size,
// both in bytes. The error for a size no envelope has wraps ErrCorrupt.
func PlainSize(sealed int64) (int64, error) {
	if err := checkSize(sealed); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return sealed - Overhead, nil
}

// KeyID returns the master key id from the beginning of an envelope; six bytes
// suffice. The error for anything else wraps ErrCorrupt.
func KeyID(header []byte) (uint32, error) {
	if len(header) < nonceAt {
		return 0, fmt.Errorf("%w: %d bytes are too few for a master key id", ErrCorrupt, len(header))
	}
	if !HasMagic(header) {
		return 0, fmt.Errorf("%w: it does not begin with %q: not sealed, or in another format", ErrCorrupt, magic)
	}
	return binary.LittleEndian.Uint32(header[keyIDAt:nonceAt]), nil
}

// HasMagic reports whether header begins as every envelope does. What does not
// is none; what does may be anything until it is opened.
func HasMagic(header []byte) bool {
	return len(header) >= keyIDAt && string(header[:keyIDAt]) == magic
}

func checkSize(sealed int64) error {
	if sealed < Overhead {
		return fmt.Errorf("%d bytes are fewer than the %d of an empty file", sealed, Overhead)
	}
	if sealed > maxPlainSize+Overhead {
		return fmt.Errorf("%d bytes are more than AES-GCM can seal", sealed)
	}
	return nil
}

// header is the first HeaderSize bytes of an envelope.
type header struct {
	keyID uint32
	eiv   [nonceSize]byte
	edek  [keySize]byte
}

// parseHeader reads the header of a whole envelope.
func parseHeader(sealed []byte) (header, error) {
	if _, err := PlainSize(int64(len(sealed))); err != nil {
		return header{}, err
	}
	id, err := KeyID(sealed)
	if err != nil {
		return header{}, err
	}
	h := header{keyID: id}
	copy(h.eiv[:], sealed[nonceAt:])
	copy(h.edek[:], sealed[keyAt:])
	return h, nil
}

// put writes h to the first HeaderSize bytes of buf.
func (h header) put(buf []byte) {
	copy(buf, magic)
	binary.LittleEndian.PutUint32(buf[keyIDAt:], h.keyID)
	copy(buf[nonceAt:], h.eiv[:])
	copy(buf[keyAt:], h.edek[:])
}

// dataSecret opens one envelope and, through the mask, all others under the
// same master key.
type dataSecret struct {
	nonce [nonceSize]byte
	key   [keySize]byte
}

func (s *dataSecret) cipher() (cipher.AEAD, error) {
	block, err := aes.NewCipher(s.key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithNonceSize(block, nonceSize)
}

func (s *dataSecret) wipe() { *s = dataSecret{} }
