package main

import (
	"fmt"
	"strings"
)

// hexdump shows bytes in hex, and as text where they are printable ASCII.
func hexdump(p []byte) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, latin1(p))
	return fmt.Sprintf("% x  |%s|", p, text)
}

func latin1(p []byte) string {
	runes := make([]rune, len(p))
	for n, b := range p {
		runes[n] = rune(b)
	}
	return string(runes)
}
