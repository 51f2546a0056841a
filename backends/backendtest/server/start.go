package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = time.Minute
	pollInterval = 20 * time.Millisecond
)

// Command says how to run a server.
type Command struct {
	Name string   // for messages
	Argv []string // program and arguments
	Env  []string // "NAME=value", added to the test's own environment
	Dir  string   // working directory; empty for the test's own

	// Ready returns nil as soon as the server serves. It is called again
	// and again until then. Without it the server serves when it accepts
	// connections at Address.
	Ready   func(context.Context) error
	Address string // host:port
}

// Process is a server that runs.
type Process struct {
	name   string
	cmd    *exec.Cmd
	output tail
	ended  chan struct{} // closed when the process has been waited for
	stop   sync.Once
}

// Start runs a server, returns when it is ready, and kills it, with all its
// children, when the test ends or the test's process dies. What the server
// printed last is logged if the test fails.
func Start(t testing.TB, c Command) *Process {
	t.Helper()
	p := &Process{name: c.Name, ended: make(chan struct{})}
	p.cmd = exec.Command(c.Argv[0], c.Argv[1:]...)
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Dir = c.Dir
	p.cmd.Stdout = &p.output
	p.cmd.Stderr = &p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.run(); err != nil {
		t.Fatalf("starting %s: %v", c.Name, err)
	}
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("last output of %s:\n%s", c.Name, p.output.String())
		}
	})
	p.await(t, c)
	return p
}

// run starts the process from a thread that lives as long as the process does:
// Pdeathsig is about the death of the thread.
func (p *Process) run() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
			close(p.ended)
		}
	}()
	return <-started
}

func (p *Process) await(t testing.TB, c Command) {
	t.Helper()
	ready := c.Ready
	if ready == nil {
		ready = func(ctx context.Context) error { return dial(ctx, c.Address) }
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("%s has ended before it was ready: %v", p.name, p.cmd.ProcessState)
		case <-ctx.Done():
			t.Fatalf("%s is not ready after %v: %v", p.name, startTimeout, err)
		case <-time.After(pollInterval):
		}
	}
}

func dial(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Pid returns the process id of the server.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stop kills the server and its children and returns when it is dead. It may
// be called more than once.
func (p *Process) Stop() {
	p.stop.Do(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	})
}

// unavailable ends a test whose server cannot be had.
func unavailable(t testing.TB, format string, args ...any) {
	t.Helper()
	msg := fmt.Sprintf(format, args...)
	if os.Getenv("CI") == "true" {
		t.Fatal(msg)
	}
	t.Skip(msg)
}
