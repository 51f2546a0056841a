package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// ErrEnded reports that a process ended before it was ready.
var ErrEnded = errors.New("ended before it was ready")

// Process is a child in its own process group, and what it has printed. It is
// killed when the process that started it dies.
type Process struct {
	Name string
	Log  *Log

	cmd  *exec.Cmd
	done chan struct{} // closed once the child is gone and err is set
	err  error
}

// noDelay keeps dcmtk, which Orthanc uses, too, from waiting 40 ms in every
// DICOM message for an acknowledgement of TCP.
const noDelay = "TCP_NODELAY=1"

// start runs argv.
func start(name string, argv ...string) (*Process, error) {
	p := &Process{Name: name, Log: NewLog(), done: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = p.Log, p.Log
	p.cmd.Env = append(os.Environ(), noDelay)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// run holds on to its thread while the child lives: the kernel sends the
// death signal when the thread that forked ends, not when the process does.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done returns a channel that is closed when the process is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the process ended, nil for status 0. It waits for the end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Signal sends sig; to a process that is gone it does nothing.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signalling %s: %w", p.Name, err)
	}
	return nil
}

// Stop sends SIGTERM, waits for the end and returns how the process ended. A
// process that outlives ctx is killed.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s did not stop: %w", p.Name, ctx.Err()), p.Kill())
	}
	if p.err != nil {
		return fmt.Errorf("%s did not stop cleanly: %w", p.Name, p.err)
	}
	return nil
}

// Kill sends SIGKILL and waits until the process is gone.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Await returns once the process has printed text. If the process ends first,
// the error wraps ErrEnded and holds the end of its log.
func (p *Process) Await(ctx context.Context, text string) error {
	for {
		found, changed := p.Log.find(text)
		if found {
			return nil
		}
		select {
		case <-changed:
		case <-p.done:
			return fmt.Errorf("%s %w (%v):\n%s", p.Name, ErrEnded, p.err, p.Log.Tail(20))
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w:\n%s", p.Name, ctx.Err(), p.Log.Tail(20))
		}
	}
}
