package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// MasterKey is a 256-bit key and the id it has in envelopes. Printing, logging
// or marshaling it gives a placeholder. Make one with [NewMasterKey] or
// [ReadKeyFile]; the zero value is no key, and no ring takes it.
type MasterKey struct {
	id          uint32
	fingerprint string
	notAfter    time.Time // zero for ever
	// stream is all that A1 ever uses of the key. It is behind two pointers
	// because fmt ignores the methods of values in unexported fields. It would
	// print bytes from there and, for a verb that does not fit, follow one
	// pointer to them.
	stream **[nonceSize]byte
}

// NewMasterKey returns the master key with the given id. key has exactly 32
// bytes and is not retained. A key of nothing but zero bytes is refused: it
// comes from a buffer or a file that nobody has filled, and everyone knows it.
func NewMasterKey(id uint32, key []byte) (MasterKey, error) {
	if len(key) != keySize {
		return MasterKey{}, fmt.Errorf("master key %d: it has %d bytes: give exactly %d", id, len(key), keySize)
	}
	if subtle.ConstantTimeCompare(key, make([]byte, keySize)) == 1 {
		return MasterKey{}, fmt.Errorf("master key %d: it is nothing but zero bytes: give a random key", id)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return MasterKey{}, fmt.Errorf("master key %d: %w", id, err)
	}
	stream := new([nonceSize]byte)
	zeroCounter := make([]byte, aes.BlockSize)
	cipher.NewCTR(block, zeroCounter).XORKeyStream(stream[:], stream[:])
	return MasterKey{id: id, fingerprint: fingerprint(key), stream: &stream}, nil
}

func fingerprint(key []byte) string {
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, "orthanc-bucketfs master key fingerprint v1")
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// ID returns the id of the key in envelopes.
func (k MasterKey) ID() uint32 { return k.id }

// Fingerprint returns 16 hex digits that tell this key from others, whatever
// its id, and give nothing away about it: the first 8 bytes of the HMAC-SHA256
// under the key of a text used for nothing else. It may be printed and logged.
func (k MasterKey) Fingerprint() string { return k.fingerprint }

// RetiredAfter returns k as a key that opens only what was stored at t or
// earlier. A ring refuses it as its current key.
func (k MasterKey) RetiredAfter(t time.Time) MasterKey {
	k.notAfter = t
	return k
}

// NotAfter returns the time after which nothing can have been stored under k;
// zero if there is no such time.
func (k MasterKey) NotAfter() time.Time { return k.notAfter }

// String returns a placeholder.
func (k MasterKey) String() string { return fmt.Sprintf("master key %d (redacted)", k.id) }

// GoString returns a placeholder.
func (k MasterKey) GoString() string { return k.String() }

// Format prints a placeholder, whatever the verb.
func (k MasterKey) Format(s fmt.State, verb rune) { io.WriteString(s, k.String()) }

// LogValue returns a placeholder.
func (k MasterKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns a placeholder.
func (k MasterKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalJSON returns a placeholder.
func (k MasterKey) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

// mask returns the header of an envelope sealed with s.
func (k MasterKey) mask(s *dataSecret) header {
	h := header{keyID: k.id}
	subtle.XORBytes(h.eiv[:], s.nonce[:], (*k.stream)[:])
	subtle.XORBytes(h.edek[:], s.key[:], (*k.stream)[:])
	return h
}

// unmask returns what the envelope with header h was sealed with.
func (k MasterKey) unmask(h header) *dataSecret {
	s := new(dataSecret)
	subtle.XORBytes(s.nonce[:], h.eiv[:], (*k.stream)[:])
	subtle.XORBytes(s.key[:], h.edek[:], (*k.stream)[:])
	return s
}
