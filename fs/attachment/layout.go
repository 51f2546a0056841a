package attachment

import (
	"encoding/hex"
	"strings"
)

// Layout says under which keys a bucket holds attachments. The names are those
// of the plugin's option StorageStructure.
type Layout int

const (
	// Legacy is AA/BB/uuid, as in a directory of Orthanc.
	Legacy Layout = iota
	// Flat adds what the plugin stores by default, to be read and deleted:
	// uuid.dcm, .json, .dcm.head or .unk, with .enc behind it if it is sealed.
	// New files are stored as in Legacy.
	Flat
)

// Parse returns the attachment whose object is under key. It reports false for
// a key that names none.
func (l Layout) Parse(key string) (UUID, bool) {
	u, _, ok := l.parse(key)
	return u, ok
}

func (l Layout) parse(key string) (UUID, form, bool) {
	if u, ok := ParseKey(key); ok {
		return u, legacyForm, true
	}
	if l != Flat || len(key) < uuidLen {
		return UUID{}, 0, false
	}
	u, ok := ParseUUID(key[:uuidLen])
	f, known := flatForm(key[uuidLen:])
	return u, f, ok && known
}

// prefix returns what the keys of all attachments in AA begin with.
func (l Layout) prefix(aa byte) string {
	digits := hex.EncodeToString([]byte{aa})
	if l == Flat {
		return digits
	}
	return digits + "/"
}

// form is how the key of one attachment is made, in one byte: a listing keeps
// it for every attachment.
type form uint8

const (
	legacyForm   form = 0
	fallbackForm form = 255 // in the fallback directory, of which a listing keeps the names alone
)

// flatEndings returns the ends of flat names, in an order that never changes.
// In the plugin's source that is BaseStorage::GetPath, and .unk what release 1.2
// called .dcm.head.
func flatEndings() [8]string {
	return [8]string{".dcm", ".dcm.enc", ".json", ".json.enc", ".dcm.head", ".dcm.head.enc", ".unk", ".unk.enc"}
}

func flatForm(ending string) (form, bool) {
	for i, e := range flatEndings() {
		if e == ending {
			return form(i + 1), true
		}
	}
	return 0, false
}

func (f form) key(u UUID) string {
	if f == legacyForm {
		return u.Key()
	}
	return u.String() + flatEndings()[f-1]
}

// namedSealed reports that a key says of its object that it is an envelope. Keys
// that do not may be of envelopes, too.
func namedSealed(key string) bool { return strings.HasSuffix(key, ".enc") }
