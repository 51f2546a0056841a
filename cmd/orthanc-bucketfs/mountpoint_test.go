package main

import (
	"os"
	"strings"
	"testing"
)

func TestBareMountpointAdvice(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		owner string
		mode  os.FileMode
		want  bool
	}{
		{"65534:65534", 0o777, true},
		{"65534:65534", 0o555, false},
		{"65534:65534", 0o755, false}, // somebody else's
		{"0:0", 0o777, false},         // nothing keeps root out
		{"no-such-user", 0o777, false},
	} {
		if err := os.Chmod(dir, test.mode); err != nil {
			t.Fatal(err)
		}
		advice := bareMountpointAdvice(Config{Mountpoint: dir, Owner: test.owner})
		if got := strings.Contains(advice, "plaintext"); got != test.want {
			t.Errorf("owner %s, mode %o: %q", test.owner, test.mode, advice)
		}
	}
	if os.Getuid() != 0 {
		return
	}
	for mode, ids := range map[os.FileMode][2]int{0o700: {65534, 0}, 0o070: {0, 65534}} {
		if err := os.Chown(dir, ids[0], ids[1]); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if bareMountpointAdvice(Config{Mountpoint: dir, Owner: "65534:65534"}) == "" {
			t.Errorf("owner %v, mode %o: no advice", ids, mode)
		}
	}
}

func TestUnescape(t *testing.T) {
	if got, want := unescape(`/mnt/a\040b\011c\012d\134e`), "/mnt/a b\tc\nd\\e"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
