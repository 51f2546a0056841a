package main

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestVersionFromTheLinker(t *testing.T) {
	binary := filepath.Join(t.TempDir(), program)
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.version=1.2.3 -X main.commit=0123abc", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), binary, "version").Output()
	if want := program + " 1.2.3\ncommit 0123abc\n" + runtime.Version() + "\n"; string(out) != want || err != nil {
		t.Errorf("got %q, %v; want %q", out, err, want)
	}
}

func TestVCSCommit(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123abc"}
	tests := []struct {
		settings []debug.BuildSetting
		want     string
	}{
		{nil, "unknown"},
		{[]debug.BuildSetting{revision, {Key: "vcs.modified", Value: "false"}}, "0123abc"},
		{[]debug.BuildSetting{{Key: "vcs.modified", Value: "true"}, revision}, "0123abc (modified)"},
	}
	for _, test := range tests {
		if got := vcsCommit(test.settings); got != test.want {
			t.Errorf("%v: got %q, want %q", test.settings, got, test.want)
		}
	}
}
