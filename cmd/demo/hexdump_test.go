package main

import "testing"

func TestHexdump(t *testing.T) {
	if got, want := hexdump([]byte("A1\x01\x00\xe9~")), "41 31 01 00 e9 7e  |A1...~|"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
