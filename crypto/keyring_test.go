package crypto

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

func TestNewMasterKeyTakes32Bytes(t *testing.T) {
	for n := range 70 {
		_, err := NewMasterKey(3, randomBytes(n))
		if (err == nil) != (n == 32) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestNewMasterKeyRefusesZeroBytes(t *testing.T) {
	if _, err := NewMasterKey(3, make([]byte, 32)); err == nil {
		t.Error("took a key of zero bytes")
	}
	for i := range 32 {
		key := make([]byte, 32)
		key[i] = 1
		if _, err := NewMasterKey(3, key); err != nil {
			t.Errorf("byte %d set: %v", i, err)
		}
	}
}

func TestNewMasterKeyDoesNotRetain(t *testing.T) {
	key := keyBytes(1)
	k, err := NewMasterKey(3, key)
	if err != nil {
		t.Fatal(err)
	}
	clear(key)
	referenceOpen(t, keyBytes(1), seal(t, ringOf(t, k), []byte("plain")))
}

// The fingerprints were computed with Python's hmac. People write them down, so
// they never change.
func TestFingerprint(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"kek-1.key", "24d9dd9059b1d8ee"},
		{"kek-2.key", "abf8dab59a042417"},
		{"kek-16909060.key", "cd03479cc0b85492"},
		{"kek-4294967295.key", "8dc5aa603ede3496"},
	} {
		for _, id := range []uint32{0, 7} {
			if got := vectorKey(t, id, tt.file).Fingerprint(); got != tt.want {
				t.Errorf("%s as %d: %s; want %s", tt.file, id, got, tt.want)
			}
		}
	}
}

// secretsOf returns what must not be printed of a key, in every form that
// printing could give it.
func secretsOf(k MasterKey, key []byte) []string {
	var forms []string
	for _, secret := range [][]byte{key, (*k.stream)[:]} {
		part := secret[:8]
		forms = append(forms,
			string(part),
			hex.EncodeToString(part),
			strings.ToUpper(hex.EncodeToString(part)),
			strings.Trim(fmt.Sprint(part), "[]"),
			strings.Trim(fmt.Sprintf("%#v", part[:4]), "[]byte{}"),
			base64.StdEncoding.EncodeToString(part[:6]),
		)
	}
	return forms
}

func TestMasterKeyIsNeverPrinted(t *testing.T) {
	key := keyBytes(0x41)
	k, err := NewMasterKey(3, key)
	if err != nil {
		t.Fatal(err)
	}
	type config struct {
		Exported MasterKey
		hidden   MasterKey
		pointer  *MasterKey
		ring     *KeyRing
	}
	c := config{k, k, &k, ringOf(t, k)}
	values := []any{k, &k, []MasterKey{k}, map[string]MasterKey{"k": k}, c, &c, c.ring, *c.ring}

	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%t", "%e"}

	var out bytes.Buffer
	for _, v := range values {
		for _, verb := range verbs {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "value", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "value", v)
	}
	for _, form := range secretsOf(k, key) {
		if strings.Contains(out.String(), form) {
			t.Errorf("printed %q", form)
		}
	}
}

func TestMasterKeyPlaceholder(t *testing.T) {
	const want = "master key 3 (redacted)"
	k := testKey(t, 3, 1)
	text, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	js, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"String":      k.String(),
		"GoString":    k.GoString(),
		"Format":      fmt.Sprintf("%x", k),
		"LogValue":    k.LogValue().String(),
		"MarshalText": string(text),
		"MarshalJSON": strings.Trim(string(js), `"`),
	} {
		if got != want {
			t.Errorf("%s gives %q; want %q", name, got, want)
		}
	}
}

func TestNewKeyRingRefuses(t *testing.T) {
	zero, err := NewMasterKey(0, nil)
	if err == nil {
		t.Fatal("made a key of no bytes")
	}
	a, b := testKey(t, 1, 1), testKey(t, 2, 2)
	for _, tt := range []struct {
		name string
		keys []MasterKey
		says []string
	}{
		{"the id of the current key again", []MasterKey{a, testKey(t, 1, 3)}, []string{"id 1"}},
		{"an earlier id twice", []MasterKey{a, b, testKey(t, 2, 3)}, []string{"id 2"}},
		{"the same key twice", []MasterKey{a, a}, []string{"id 1"}},
		{"the current key under another id", []MasterKey{a, b, testKey(t, 9, 1)}, []string{"1 and 9", a.Fingerprint()}},
		{"an earlier key under another id", []MasterKey{a, b, testKey(t, 9, 2)}, []string{"2 and 9", b.Fingerprint()}},
		{"the zero value as current key", []MasterKey{zero}, nil},
		{"the zero value as earlier key", []MasterKey{a, {}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ring, err := NewKeyRing(tt.keys[0], tt.keys[1:]...)
			if ring != nil || err == nil {
				t.Fatal("made a ring")
			}
			for _, s := range tt.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
		})
	}
}

func TestKeyRingSealsWithCurrentAndOpensWithAll(t *testing.T) {
	earlier, current := testKey(t, 7, 1), testKey(t, 3, 2)
	old := seal(t, ringOf(t, earlier), []byte("old"))
	ring := ringOf(t, current, testKey(t, 5, 3), earlier)
	if plain, err := ring.Open(fileA, old); err != nil || string(plain) != "old" {
		t.Errorf("earlier key: %q, %v", plain, err)
	}
	if id, err := KeyID(seal(t, ring, nil)); id != 3 || err != nil {
		t.Errorf("sealed under %d, %v; want 3", id, err)
	}
}

func TestKeyRingKeys(t *testing.T) {
	ring := ringOf(t, testKey(t, 7, 1), testKey(t, 3, 2), testKey(t, 5, 3))
	ids := func() (ids []uint32) {
		for _, k := range ring.Keys() {
			ids = append(ids, k.ID())
		}
		return ids
	}
	if got, want := ids(), []uint32{7, 3, 5}; !slices.Equal(got, want) {
		t.Errorf("keys %v; want %v", got, want)
	}
	if ring.Current().ID() != 7 {
		t.Errorf("current key %d; want 7", ring.Current().ID())
	}
	ring.Keys()[0] = MasterKey{}
	if got := ids()[0]; got != 7 {
		t.Errorf("writing to Keys changed the ring's current key to %d", got)
	}
}
