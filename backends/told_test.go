package backends

import (
	"strings"
	"testing"
)

func TestTold(t *testing.T) {
	for said, want := range map[string]string{
		"no such key":                  "no such key",
		"größer als 5 €":               "größer als 5 €",
		"\x1b[2J\u009b31m\a":           "�[2J�31m�",
		"a\nlevel=ERROR\r\t":           "a�level=ERROR��",
		"\u202eright to left\u200b":    "�right to left�",
		"\xff\x00":                     "��",
		strings.Repeat("x", 500):       strings.Repeat("x", 500),
		strings.Repeat("x", 501):       strings.Repeat("x", 500) + "...",
		"x" + strings.Repeat("€", 200): "x" + strings.Repeat("€", 166) + "...",
	} {
		if got := Told(said); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}
