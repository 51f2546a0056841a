package backends

import (
	"strings"
	"unicode"
)

const maxTold = 500 // bytes

// Told returns what a store says, fit for a message: one line of a limited
// length, without what a terminal takes for commands.
func Told(s string) string {
	if len(s) > maxTold {
		s = strings.ToValidUTF8(s[:maxTold], "") + "..."
	}
	return Printable(s)
}

// Printable returns s with another character for each that is none, or that a
// terminal takes for a command.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
