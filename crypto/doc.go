// Package crypto seals files into A1 envelopes and opens them again. A1 is the
// format of Orthanc's official object-storage plugin, release 2.x; the two read
// each other's objects byte for byte.
//
// # Layout
//
//	offset  bytes  field
//	0       2      "A1"
//	2       4      master key id, uint32 little-endian
//	6       32     EIV: the GCM nonce, masked
//	38      32     EDEK: the data key, masked
//	70      n      AES-256-GCM ciphertext
//	70+n    16     GCM tag
//
// The data key encrypts the file with AES-256-GCM under a nonce of 32 bytes
// (not the usual 12) with bytes 0 to 69, as stored, as additional data. The mask
// is the first 32 bytes of the AES-256-CTR key stream of the master key, with a
// counter block that starts at zero. It is XORed onto the nonce and, once more
// the same 32 bytes, onto the data key. GCM ends at 64 GiB less 32 bytes of
// plaintext. Go's fips140=only mode refuses such nonces, and with them A1.
//
// # What A1 protects
//
// Without the master key nothing but the size and the master key id of a file
// can be learned from its envelope, and no byte of the envelope can be changed,
// added or removed without [KeyRing.Open] reporting it.
//
// # What it does not
//
//   - The mask is one constant per master key. Whoever learns a single data key
//     or a single nonce under a master key has the mask, and with it can open
//     and forge every object under that key. A nonce is therefore as secret as a
//     key. Both are 32 bytes fresh from crypto/rand for every Seal, are wiped
//     after use, and occur in no message.
//   - For the same reason the XOR of any two nonces or data keys is public. It
//     gives away nothing of two random values, and everything of one when the
//     other can be guessed.
//   - The tag does not cover the name of the object. Whoever can write to the
//     bucket can swap objects, or put back an earlier one, and every one of them
//     opens. Seal and Open are told the UUID of the attachment, so that a format
//     that binds it needs no other callers; A1 has no room for it.
//   - To change the master key a file has to be opened and sealed again, with a
//     new data key and nonce. Masking the old data key anew would give the new
//     mask to whoever holds the old master key: XOR of old data key and new
//     EDEK. This package has no function that does it.
//   - Go offers no way to wipe the key schedules inside crypto/aes: they stay
//     in memory until the collector reuses it.
//
// # Keys
//
// A [KeyRing] seals with its current key. The id in the envelope alone decides
// which key opens it; keys are never tried in turn, and an id that is not on
// the ring is [ErrUnknownKey]. A key that has leaked can be given an end with
// [MasterKey.RetiredAfter]: it then opens what was stored before, and nothing
// that somebody forges with it later, as far as the time of storing can be
// trusted.
package crypto
