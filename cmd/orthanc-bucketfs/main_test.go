package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var errDisk = errors.New("disk has failed")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errDisk }

func TestExitCode(t *testing.T) {
	tests := []struct {
		err  error
		want int
	}{
		{nil, 0},
		{flag.ErrHelp, 0},
		{errDisk, 1},
		{usagef("wrong"), 2},
		{fmt.Errorf("seal: %w", usagef("wrong")), 2},
		{&configError{err: errDisk}, 2},
		{errors.Join(&configError{err: errDisk}, &configError{err: errDisk}), 2},
	}
	for _, test := range tests {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: got %d, want %d", test.err, got, test.want)
		}
	}
}

func TestOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	key := "--key=1=" + writeKeyFile(t, 'a', 0o600)
	sealed := sealed(t, key)
	for _, args := range [][]string{{"version"}, {"help"}, {"seal", "-h"}, {"seal", key}, {"unseal", key}} {
		var stderr bytes.Buffer
		code := run(context.Background(), args, bytes.NewReader(sealed), failingWriter{}, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), errDisk.Error()) {
			t.Errorf("%v: exit code %d, %q", args, code, stderr.String())
		}
	}
}

func TestInputThatCannotBeReadIsAFailure(t *testing.T) {
	key := "--key=1=" + writeKeyFile(t, 'a', 0o600)
	input := io.MultiReader(bytes.NewReader(sealed(t, key)), iotest.ErrReader(errDisk))
	for _, command := range []string{"seal", "unseal"} {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), []string{command, key}, input, &stdout, &stderr)
		if code != exitFailed || stdout.Len() > 0 || !strings.Contains(stderr.String(), errDisk.Error()) {
			t.Errorf("%s: exit code %d, %d bytes, %q", command, code, stdout.Len(), stderr.String())
		}
	}
}

func sealed(t *testing.T, key string) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"seal", key}, strings.NewReader("image"), &stdout, &stderr); code != exitDone {
		t.Fatalf("seal: exit code %d, %s", code, stderr.String())
	}
	return stdout.Bytes()
}

func TestReadInput(t *testing.T) {
	limit := sizeLimit{mib: 1, overhead: 3, remedy: "wait"}
	for _, size := range []int{0, 1, 1<<20 + 2, 1<<20 + 3} {
		content := bytes.Repeat([]byte("x"), size)
		got, err := readInput(bytes.NewReader(content), limit, 70, 16)
		if err != nil || len(got) != 70+size+16 || !bytes.Equal(got[70:70+size], content) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	if got, err := readInput(bytes.NewReader(make([]byte, 1<<20+4)), limit, 70, 16); err == nil {
		t.Errorf("got %d bytes, over the limit", len(got))
	}
}

func TestReadInputStopsAtTheLimit(t *testing.T) {
	endless := &countingReader{}
	if _, err := readInput(endless, sizeLimit{mib: 1}, 0, 0); err == nil {
		t.Error("read endless input")
	}
	if endless.n > 1<<20+1 {
		t.Errorf("read %d bytes", endless.n)
	}
}

type countingReader struct{ n int }

func (r *countingReader) Read(p []byte) (int, error) {
	r.n += len(p)
	return len(p), nil
}

func TestCommandsAreComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, cmd := range commands() {
		if cmd.name == "" || cmd.summary == "" || cmd.run == nil || seen[cmd.name] {
			t.Errorf("command %q is incomplete, or there twice", cmd.name)
		}
		seen[cmd.name] = true
	}
}
