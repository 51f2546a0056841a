package attachment

import (
	"strings"
	"testing"
)

func TestUUIDAndKey(t *testing.T) {
	const s = "0123abcd-4567-89ab-cdef-0123456789ab"
	u, ok := ParseUUID(s)
	if !ok || u.String() != s || u.Key() != "01/23/"+s {
		t.Fatalf("parsed %v to %s with key %s", ok, u, u.Key())
	}
	if back, ok := ParseKey(u.Key()); !ok || back != u {
		t.Errorf("key parsed to %s, %v", back, ok)
	}
}

func TestNotAnAttachment(t *testing.T) {
	const good = "0123abcd-4567-89ab-cdef-0123456789ab"
	for _, s := range []string{
		"", "index", strings.ToUpper(good), good + "a", good[:35], "g" + good[1:],
		strings.ReplaceAll(good, "-", "_"), strings.ReplaceAll(good, "-", ""), "{" + good[:34] + "}",
		"0123abc-d4567-89ab-cdef-0123456789ab", good[:35] + "\n",
	} {
		if _, ok := ParseUUID(s); ok {
			t.Errorf("%q parsed as a UUID", s)
		}
	}
	for _, key := range []string{
		good, "01/" + good, "01/24/" + good, "00/23/" + good, "01/23/x/" + good, "/01/23/" + good,
		"01/23/" + strings.ToUpper(good), "01_23_" + good, "01/23/" + good + "/",
	} {
		if _, ok := ParseKey(key); ok {
			t.Errorf("%q parsed as the key of an attachment", key)
		}
	}
	for _, name := range []string{"", "0", "000", "0g", "AB", "a/", "..", "ab "} {
		if _, ok := ParseDir(name); ok {
			t.Errorf("%q parsed as a directory", name)
		}
	}
	if b, ok := ParseDir("9f"); !ok || b != 0x9f {
		t.Errorf("9f parsed to %x, %v", b, ok)
	}
}
