package attachment

import "encoding/hex"

// UUID names an attachment. Orthanc writes it as 36 characters in lower case.
type UUID [16]byte

const uuidLen = 36

// ParseUUID reads the form that String writes, and no other.
func ParseUUID(s string) (UUID, bool) {
	var u UUID
	if len(s) != uuidLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, false
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil || u.String() != s {
		return UUID{}, false
	}
	return u, true
}

func (u UUID) String() string {
	s := make([]byte, 0, uuidLen)
	for i, b := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			s = append(s, '-')
		}
		s = hex.AppendEncode(s, []byte{b})
	}
	return string(s)
}

// Key returns the object key of layout legacy: AA/BB/uuid, where AA and BB are
// the first two pairs of digits.
func (u UUID) Key() string {
	s := u.String()
	return s[:2] + "/" + s[2:4] + "/" + s
}

// ParseKey is the inverse of UUID.Key. It reports false for a key that does
// not name an attachment.
func ParseKey(key string) (UUID, bool) {
	const prefix = len("AA/BB/")
	if len(key) != prefix+uuidLen {
		return UUID{}, false
	}
	u, ok := ParseUUID(key[prefix:])
	return u, ok && u.Key() == key
}
