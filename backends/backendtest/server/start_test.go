package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// recorder is a test that only records how it ended.
type recorder struct {
	testing.TB
	ctx     context.Context
	fatal   bool
	skipped bool
	cleanup []func()
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Cleanup(f func())         { r.cleanup = append(r.cleanup, f) }
func (r *recorder) Failed() bool             { return false }
func (r *recorder) Fatalf(string, ...any)    { r.fatal = true; runtime.Goexit() }
func (r *recorder) Fatal(...any)             { r.fatal = true; runtime.Goexit() }
func (r *recorder) Skip(...any)              { r.skipped = true; runtime.Goexit() }

// run calls f as a test of its own, with its cleanup.
func (r *recorder) run(t *testing.T, f func(testing.TB)) {
	t.Helper()
	r.ctx = t.Context()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	for _, f := range r.cleanup {
		f()
	}
}

// watch returns a function that waits for the end of a process that runs.
func watch(t *testing.T, pid string) (awaitEnd func()) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(n, 0)
	if err != nil {
		t.Fatalf("process %s does not run: %v", pid, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func() {
		t.Helper()
		const patience = 10_000 // ms
		ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(ended, patience)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll(ended, patience)
		}
		if n != 1 || err != nil {
			t.Errorf("process %s still runs (%v)", pid, err)
		}
	}
}

// A server and its children live until the test ends, and no longer.
func TestStartEndsWithTheTest(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	command := Command{
		Name: "sh",
		Argv: []string{"sh", "-c", "sleep 600 & echo $$ $! > $PIDS.new; mv $PIDS.new $PIDS; wait"},
		Env:  []string{"PIDS=" + pids},
		Ready: func(context.Context) error {
			_, err := os.Stat(pids)
			return err
		},
	}
	var ends []func()
	r := new(recorder)
	r.run(t, func(tb testing.TB) {
		Start(tb, command)
		text, err := os.ReadFile(pids)
		if err != nil {
			t.Error(err)
		}
		for _, pid := range strings.Fields(string(text)) {
			ends = append(ends, watch(t, pid))
		}
	})
	if r.fatal || len(ends) != 2 {
		t.Fatalf("fatal %v, %d processes", r.fatal, len(ends))
	}
	for _, awaitEnd := range ends {
		awaitEnd()
	}
}

func TestStartFailsWithTheServer(t *testing.T) {
	never := func(context.Context) error { return errors.New("not ready") }
	for _, argv := range [][]string{{"sh", "-c", "exit 3"}, {"/nonexistent/server"}} {
		r := new(recorder)
		r.run(t, func(tb testing.TB) { Start(tb, Command{Name: "broken", Argv: argv, Ready: never}) })
		if !r.fatal {
			t.Errorf("%q: the test goes on", argv)
		}
	}
}

func TestUnavailable(t *testing.T) {
	for ci, want := range map[string]recorder{"true": {fatal: true}, "": {skipped: true}} {
		t.Setenv("CI", ci)
		r := new(recorder)
		r.run(t, func(tb testing.TB) { unavailable(tb, "no server") })
		if r.fatal != want.fatal || r.skipped != want.skipped {
			t.Errorf("CI=%q: fatal %v, skipped %v", ci, r.fatal, r.skipped)
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var out tail
	for i := range 5000 {
		_, _ = out.Write([]byte(strings.Repeat(string(rune('a'+i%26)), 100)))
	}
	got := out.String()
	if len(got) != tailSize || !strings.HasSuffix(got, strings.Repeat(string(rune('a'+4999%26)), 100)) {
		t.Errorf("got %d bytes that end in %q", len(got), got[len(got)-1:])
	}
}
