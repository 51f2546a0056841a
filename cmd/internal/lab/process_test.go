package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain turns the test binary into a parent that starts a child, prints its
// process id and waits to be killed, if the environment says so. The child is the
// PostgreSQL of the Debian in LAB_TEST_DEBIAN, if that is set.
func TestMain(m *testing.M) {
	if os.Getenv("LAB_TEST_PARENT") == "" {
		os.Exit(m.Run())
	}
	p, err := child(os.Getenv("LAB_TEST_DEBIAN"))
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(p.Pid())
	os.Exit(exitStatus(p.Err()))
}

func child(root string) (*Process, error) {
	if root == "" {
		return start("child", "sleep", "600")
	}
	port, err := NewPorts().Free()
	if err != nil {
		return nil, err
	}
	server, err := StartPostgreSQL(context.Background(), root, os.Getenv("LAB_TEST_PARENT"), port)
	if err != nil {
		return nil, err
	}
	return server.Process, nil
}

func exitStatus(err error) int {
	if err != nil {
		return 1
	}
	return 0
}

func TestChildDiesWithItsParent(t *testing.T) { wantDeath(t, "LAB_TEST_PARENT=1") }

// wantDeath kills a parent with this environment, and waits for its child's death.
func wantDeath(t *testing.T, env ...string) {
	t.Helper()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), env...)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(bufio.NewReader(out), &pid); err != nil {
		t.Fatal(err)
	}
	child, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// A descriptor of a process becomes readable at its end.
	fds := []unix.PollFd{{Fd: int32(child), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(10*time.Second/time.Millisecond))
	for err == unix.EINTR { // by Go's own signals
		n, err = unix.Poll(fds, int(10*time.Second/time.Millisecond))
	}
	if n != 1 || err != nil {
		t.Errorf("the child lives on: %d, error %v", n, err)
		unix.PidfdSendSignal(child, unix.SIGKILL, nil, 0)
	}
	parent.Wait()
}

func shell(t *testing.T, script string) *Process {
	t.Helper()
	p, err := start("shell", "/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p
}

func TestAwait(t *testing.T) {
	p := shell(t, "printf re >&2; printf 'ady\\n'; exec sleep 600")
	if err := p.Await(t.Context(), "ready"); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err == nil {
		t.Error("death by SIGTERM counts as a clean end")
	}
}

func TestAwaitSeesTheEnd(t *testing.T) {
	p := shell(t, "echo no; exit 3")
	if err := p.Await(t.Context(), "ready"); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	var status *exec.ExitError
	if err := p.Err(); !errors.As(err, &status) || status.ExitCode() != 3 {
		t.Error(err)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := shell(t, "exec sleep 600").Await(ctx, "ready"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestStop(t *testing.T) {
	p := shell(t, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done")
	if err := p.Await(t.Context(), "ready"); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStopKillsWhatDoesNotStop(t *testing.T) {
	p := shell(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	if err := p.Await(t.Context(), "ready"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case <-p.Done():
	default:
		t.Error("it lives on")
	}
}

func TestLogTail(t *testing.T) {
	l := NewLog()
	fmt.Fprint(l, "one\ntwo\nthree\n")
	if got := l.Tail(2); got != "two\nthree" {
		t.Errorf("got %q", got)
	}
	if got := l.Tail(9); got != "one\ntwo\nthree" {
		t.Errorf("got %q", got)
	}
}

func TestPorts(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	ports := &Ports{next: taken}
	first, err := ports.Free()
	if err != nil || first == taken {
		t.Errorf("got %d, taken is %d, error %v", first, taken, err)
	}
	if second, err := ports.Free(); err != nil || second == first || second == taken {
		t.Errorf("got %d after %d, error %v", second, first, err)
	}
}

func TestEach(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	seen := make(chan int, 9)
	err := Each(3, []int{1, 2, 3, 4, 5}, func(n int) error {
		seen <- n
		return map[int]error{2: one, 5: two}[n]
	})
	if len(seen) != 5 || !errors.Is(err, one) || !errors.Is(err, two) {
		t.Errorf("%d calls, error %v", len(seen), err)
	}
	// Nobody gets past this point before all three are here.
	var all sync.WaitGroup
	all.Add(3)
	err = Each(3, []int{1, 2, 3}, func(int) error {
		all.Done()
		all.Wait()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
