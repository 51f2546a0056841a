package attachment

import (
	"strings"
	"testing"
)

// A key that is taken for an attachment's is made of its UUID again.
func FuzzLayoutParse(f *testing.F) {
	const name = "abcd0000-1111-4222-8333-444455556666"
	for _, ending := range flatEndings() {
		f.Add(name + ending)
	}
	for _, seed := range []string{"ab/cd/" + name, "ab/ce/" + name, "AB/CD/" + name, "ab/cd/" + strings.ToUpper(name), "ab/cd/" + name + "\n",
		"ab/cd/" + strings.Replace(name, "-", "0", 1), name, name + ".dcm.enc\x00", "../cd/" + name, ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		for _, layout := range []Layout{Legacy, Flat} {
			u, form, ok := layout.parse(key)
			if ok && form.key(u) != key {
				t.Errorf("%q was taken for %q", key, form.key(u))
			}
			if ok && strings.Trim(key, "0123456789abcdefghijklmnopqrstuvwxyz-./") != "" {
				t.Errorf("took %q", key)
			}
		}
	})
}
