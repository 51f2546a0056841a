package logqueue

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// reader is a writer's other end that takes a line when it is told to.
type reader struct {
	mu    sync.Mutex // guards lines
	lines []string
	take  chan error // what becomes of the next line
}

func newReader() *reader { return &reader{take: make(chan error)} }

func (r *reader) Write(line []byte) (int, error) {
	if err := <-r.take; err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(line))
	return len(line), nil
}

func (r *reader) got() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, " ")
}

// takes lets n lines through, or fail with err.
func (r *reader) takes(n int, err error) {
	for range n {
		r.take <- err
	}
	synctest.Wait()
}

func notice(dropped uint64) []byte { return fmt.Appendf(nil, "(%d dropped)", dropped) }

// newQueue returns a queue whose reader has taken nothing yet.
func newQueue(limits Limits) (*Queue, *reader) {
	r := newReader()
	return New(r, limits, notice), r
}

func (q *Queue) say(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if n, err := q.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("%s: got %d, %v", line, n, err)
		}
	}
	synctest.Wait()
}

// end lets everything through.
func (q *Queue) end(r *reader) {
	close(r.take)
	q.Close(0)
	synctest.Wait()
}

// Whoever logs goes on while the reader takes nothing; what is too much is
// counted, and told at its place.
func TestReaderThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(Limits{Lines: 4, Bytes: 100})
		q.say(t, "a") // is being written
		q.say(t, "b", "c", "d", "e", "f", "g", "h")
		if got := q.Dropped(); got != 3 {
			t.Errorf("%d lines were dropped, want 3", got)
		}
		r.takes(2, nil)
		q.say(t, "i") // three are queued: more than half
		if got := q.Dropped(); got != 4 {
			t.Errorf("%d lines were dropped, want 4", got)
		}
		r.takes(1, nil)
		q.say(t, "j")
		q.end(r)
		if got := r.got(); got != "a b c d e (4 dropped) j" {
			t.Errorf("got %s", got)
		}
	})
}

func TestBytesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(Limits{Lines: 100, Bytes: 8})
		q.say(t, "a")
		q.say(t, "12345", "6789", "0")
		if got := q.Waiting(); got != 1 {
			t.Errorf("%d lines wait, want 1", got)
		}
		q.end(r)
		if got := r.got(); got != "a 12345 (2 dropped)" {
			t.Errorf("got %s", got)
		}
	})
}

// A line that can never be queued does not stand in the way of others.
func TestLineLargerThanTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(Limits{Lines: 100, Bytes: 8})
		q.say(t, "much too long")
		r.takes(1, nil)
		q.say(t, "a")
		q.end(r)
		if got := r.got(); got != "(1 dropped) a" {
			t.Errorf("got %s", got)
		}
	})
}

// A line that cannot be written is dropped; the notice comes when one can be.
func TestReaderThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(Default())
		q.say(t, "a", "b", "c", "d")
		r.takes(3, syscall.ENOSPC)
		if got := q.Dropped(); got != 3 {
			t.Errorf("%d lines were dropped, want 3", got)
		}
		q.end(r)
		if got := r.got(); got != "d (3 dropped)" {
			t.Errorf("got %s", got)
		}
	})
}

// A notice that cannot be written is not lost, and no dropped line.
func TestNoticeThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(Default())
		q.say(t, "a", "b")
		r.takes(1, syscall.EPIPE)
		r.takes(1, nil)
		r.takes(1, syscall.EPIPE) // the notice
		q.say(t, "c")
		q.end(r)
		if got := r.got(); got != "b c (1 dropped)" || q.Dropped() != 1 {
			t.Errorf("got %s, %d dropped", got, q.Dropped())
		}
	})
}

// The caller may use its bytes for the next line.
func TestLinesAreCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(Default())
		line := []byte("a")
		for range 3 {
			if _, err := q.Write(line); err != nil {
				t.Error(err)
			}
			line[0]++
		}
		q.end(r)
		if got := r.got(); got != "a b c" {
			t.Errorf("got %s", got)
		}
	})
}

func TestCloseWaitsForTheLastLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(Default())
		q.say(t, "a", "the reason")
		time.AfterFunc(500*time.Millisecond, func() { close(r.take) })
		if !q.Close(time.Second) || r.got() != "a the reason" {
			t.Errorf("got %s", r.got())
		}
		q.say(t, "too late")
		if q.Dropped() != 1 || q.Waiting() != 0 {
			t.Errorf("%d dropped, %d wait", q.Dropped(), q.Waiting())
		}
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, r := newQueue(Default())
		q.say(t, "a")
		began := time.Now()
		if q.Close(3*time.Second) || time.Since(began) != 3*time.Second {
			t.Errorf("it took %s", time.Since(began))
		}
		q.end(r)
	})
}

// A pipe that somebody else has made non-blocking is waited for, by the queue
// alone, and no line is torn.
func TestNonBlockingPipe(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	from, to := os.NewFile(uintptr(fds[0]), "from"), os.NewFile(uintptr(fds[1]), "to")
	defer from.Close()
	if err := unix.SetNonblock(fds[1], true); err != nil {
		t.Fatal(err)
	}
	const lines, size = 8, 40 << 10 // more than a pipe holds
	q := New(to, Default(), notice)
	for i := range lines {
		if _, err := q.Write([]byte(strings.Repeat(fmt.Sprint(i), size))); err != nil {
			t.Error(err)
		}
	}
	got := make(chan string)
	go func() {
		text, _ := io.ReadAll(from)
		got <- string(text)
	}()
	if !q.Close(time.Minute) {
		t.Error("it is not written")
	}
	to.Close()
	var want strings.Builder
	for i := range lines {
		want.WriteString(strings.Repeat(fmt.Sprint(i), size))
	}
	if text := <-got; text != want.String() || q.Dropped() != 0 {
		t.Errorf("%d bytes of %d arrived, %d lines were dropped", len(text), want.Len(), q.Dropped())
	}
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	q := New(full, Default(), notice)
	for range 10 {
		if _, err := q.Write([]byte("a")); err != nil {
			t.Error(err)
		}
	}
	if !q.Close(time.Minute) || q.Dropped() != 10 {
		t.Errorf("%d lines were dropped, want 10", q.Dropped())
	}
}

func TestManyWriters(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const writers, each = 8, 500
	q := New(file, Limits{Lines: 100, Bytes: 1 << 20}, func(n uint64) []byte { return fmt.Appendf(nil, "%d dropped\n", n) })
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				if _, err := q.Write([]byte("one line\n")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if !q.Close(time.Minute) {
		t.Error("it is not written")
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := account(string(text), writers*each, q.Dropped()); err != nil {
		t.Error(err)
	}
}

// account sees that every line is there or told to be dropped.
func account(text string, lines int, dropped uint64) error {
	var told uint64
	for line := range strings.Lines(text) {
		var n uint64
		if _, err := fmt.Sscanf(line, "%d dropped\n", &n); err == nil {
			told += n
		} else if line != "one line\n" {
			return fmt.Errorf("a torn line %q", line)
		} else {
			lines--
		}
	}
	if told != dropped || uint64(lines) != dropped {
		return fmt.Errorf("%d lines are not there, %d are told, %d counted", lines, told, dropped)
	}
	return nil
}
