package gcs

import (
	"strings"
	"testing"
	"unicode"
)

// Whatever describes an error, what is taken from it can be shown.
func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"error":{"message":"No such object: a/b","errors":[{"reason":"notFound"}]}}`, `{"error":{"message":"\u001b[2J\u009b"}}`, `{"error":7}`,
		"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>gone\n</Message></Error>", "<Error><Code><Code>", "<html>", "null", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a := parseAnswer(body)
		text := a.Error()
		if len(text) > 1200+len("the service answered 0 : ") || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%d bytes: %q", len(text), text)
		}
	})
}
