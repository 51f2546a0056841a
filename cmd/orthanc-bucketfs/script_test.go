package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"orthanc-bucketfs/cmd/internal/privileged"
)

func TestMain(m *testing.M) {
	if privileged.Hold() {
		return
	}
	testscript.Main(m, map[string]func(){program: main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			// By default every program that the race detector watches sleeps
			// for a second before it exits.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"mode":    checkMode,
			"random":  writeRandom,
			"flip":    flip,
			"shorten": shorten,
			"size":    checkSize,
		},
	})
}

// exits CODE COMMAND [ARG...] runs a command, which must exit with CODE.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != number(ts, args[0]) {
		ts.Fatalf("exit code %d", code)
	}
}

// mode FILE OCTAL checks the permissions of a file.
func checkMode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	want, err := strconv.ParseUint(args[1], 8, 32)
	ts.Check(err)
	if got := info.Mode().Perm(); neg || got != os.FileMode(want) {
		ts.Fatalf("%s has mode %04o", args[0], got)
	}
}

// random FILE SIZE writes a file of bytes of all values, the same every time.
func writeRandom(ts *testscript.TestScript, neg bool, args []string) {
	content := make([]byte, number(ts, args[1]))
	rand.NewChaCha8([32]byte{}).Read(content)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), content, 0o600))
}

// flip FILE OFFSET changes one bit; a negative offset counts from the end.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	content, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	offset := number(ts, args[1])
	if offset < 0 {
		offset += len(content)
	}
	content[offset] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), content, 0o600))
}

// shorten FILE N takes N bytes off the end.
func shorten(ts *testscript.TestScript, neg bool, args []string) {
	content, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), int64(len(content)-number(ts, args[1]))))
}

// size FILE N checks the size of a file.
func checkSize(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if neg || info.Size() != int64(number(ts, args[1])) {
		ts.Fatalf("%s has %d bytes", args[0], info.Size())
	}
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}
