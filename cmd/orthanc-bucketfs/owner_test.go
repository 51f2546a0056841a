package main

import (
	"os"
	"os/user"
	"strings"
	"testing"
)

func TestResolveOwner(t *testing.T) {
	me := [2]uint32{uint32(os.Getuid()), uint32(os.Getgid())}
	tests := []struct {
		owner string
		want  [2]uint32
	}{
		{"", me},
		{"root", [2]uint32{0, 0}},
		{"root:root", [2]uint32{0, 0}},
		{"0", [2]uint32{0, 0}},
		{"root:4242424", [2]uint32{0, 4242424}},
		{"4242424:root", [2]uint32{4242424, 0}},
		{"4242424:4294967294", [2]uint32{4242424, 4294967294}},
	}
	for _, test := range tests {
		uid, gid, err := resolveOwner(test.owner)
		if got := [2]uint32{uid, gid}; got != test.want || err != nil {
			t.Errorf("%q: got %d, %v; want %d", test.owner, got, err, test.want)
		}
	}
}

func TestResolveOwnerUsesPrimaryGroup(t *testing.T) {
	// The account may differ from machine to machine; its group must not be root's.
	account, err := user.Lookup("daemon")
	if err != nil || account.Gid == "0" {
		t.Fatalf("this machine has no user daemon with a group of its own: %v", err)
	}
	want, err := parseID(account.Gid)
	if err != nil {
		t.Fatal(err)
	}
	for _, owner := range []string{"daemon", account.Uid} {
		if _, gid, err := resolveOwner(owner); gid != want || err != nil {
			t.Errorf("%q: got group %d, %v; want %d", owner, gid, err, want)
		}
	}
}

func TestResolveOwnerRefuses(t *testing.T) {
	for _, owner := range []string{
		":", ":root", "root:", "root:root:root", "root root", " root", "root\n",
		"no-such-user", "root:no-such-group", "-1", "+0", "0x0", "root:-1",
		"4242424",                // without an account there is no group
		"4294967295:0",           // "as it is" to chown(2)
		"0:4294967295",           // the same
		"4294967296:0",           // 0 in 32 bits
		"0:4294967296",           // the same
		"18446744073709551616:0", // 0 in 64 bits
	} {
		if uid, gid, err := resolveOwner(owner); err == nil {
			t.Errorf("%q: got %d, %d, %v", owner, uid, gid, err)
		}
	}
}

func TestOwnerWithoutAccountIsToldToNameAGroup(t *testing.T) {
	if _, _, err := resolveOwner("4242424"); err == nil || !strings.Contains(err.Error(), `"USER:GROUP"`) {
		t.Errorf("got %v", err)
	}
}

func TestUnknownNamesAreNotRepeated(t *testing.T) {
	for owner, want := range map[string]string{"no-such": "no such user: ", "root:no-such": "no such group: "} {
		if _, _, err := resolveOwner(owner); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "no-such") {
			t.Errorf("%s: got %v", owner, err)
		}
	}
}
