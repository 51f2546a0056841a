package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/access"
)

// benchTarget is where files are stored and read.
type benchTarget interface {
	String() string
	files(n int) ([]string, error) // names, the same ones at each call
	// begin prepares a phase in which nothing is cached, end tells how many
	// requests it took; -1 if that is not known.
	begin(ctx context.Context) error
	end() error
	requests() int64
	store(ctx context.Context, name string, content []byte) error
	read(ctx context.Context, name string, into []byte) error
	remove(ctx context.Context, name string) error
}

// named gives files their names.
type named struct{ names []string }

func (n *named) files(count int) (_ []string, err error) {
	if n.names == nil {
		n.names, err = access.Names(count)
	}
	return n.names, err
}

// requestCounter counts what goes out to a store.
type requestCounter struct{ n atomic.Int64 }

func (r *requestCounter) observe(backends.Request) { r.n.Add(1) }

// directTarget is the bucket through our own backend. Its objects have the size
// of the sealed files.
type directTarget struct {
	named
	bucket backends.Bucket
	count  *requestCounter
}

func (d *directTarget) String() string              { return "bucket" }
func (d *directTarget) begin(context.Context) error { d.count.n.Store(0); return nil }
func (d *directTarget) end() error                  { return nil }
func (d *directTarget) requests() int64             { return d.count.n.Load() }

func (d *directTarget) store(ctx context.Context, name string, content []byte) error {
	_, err := d.bucket.Create(ctx, name, content)
	return err
}

func (d *directTarget) read(ctx context.Context, name string, into []byte) error {
	n, obj, err := d.bucket.Read(ctx, name, "", into, 0)
	if err == nil && int64(n) != obj.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (d *directTarget) remove(ctx context.Context, name string) error {
	return d.bucket.Delete(ctx, name, "")
}

// mountTarget is a mount, of a child process unless dir is given.
type mountTarget struct {
	named
	call    *call
	plan    benchPlan
	scratch string
	dir     string

	child *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
	temp  string
	sent  int64
}

func (m *mountTarget) String() string  { return "mount" }
func (m *mountTarget) requests() int64 { return m.sent }

// begin starts the child, which has nothing in its memory or the kernel's.
func (m *mountTarget) begin(ctx context.Context) (err error) {
	m.sent = -1
	if m.plan.mount != "" {
		return nil
	}
	if m.temp, err = os.MkdirTemp("", "orthanc-bucketfs-bench-"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	m.child = exec.Command(self, "bench", "--config", m.plan.config, "--serve", m.temp, "--scratch", m.scratch)
	m.child.Args[0] = program
	m.child.Stderr = m.call.stderr
	m.child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process to act on
	if m.stdin, err = m.child.StdinPipe(); err != nil {
		return err
	}
	out, err := m.child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := m.child.Start(); err != nil {
		m.child = nil
		return err
	}
	m.out, m.dir = bufio.NewReader(out), m.temp
	if line, err := m.out.ReadString('\n'); err != nil || line != benchReady {
		return errors.New("the temporary mount did not come up")
	}
	return nil
}

// end ends the child and takes its count.
func (m *mountTarget) end() error {
	if m.child == nil {
		return m.removeTemp()
	}
	m.stdin.Close()
	err := json.NewDecoder(m.out).Decode(&m.sent)
	if ended := m.child.Wait(); ended != nil {
		err = fmt.Errorf("the temporary mount: %w", ended)
	}
	m.child = nil
	return errors.Join(err, m.removeTemp())
}

func (m *mountTarget) removeTemp() error {
	if m.temp == "" {
		return nil
	}
	dir := m.temp
	m.temp = ""
	return os.Remove(dir)
}

// store does what Orthanc does.
func (m *mountTarget) store(_ context.Context, name string, content []byte) error {
	return access.Store(filepath.Join(m.dir, name), content[:len(content)-sealedSize(0)])
}

func (m *mountTarget) read(_ context.Context, name string, into []byte) error {
	_, err := access.Read(filepath.Join(m.dir, name), into)
	return err
}

func (m *mountTarget) remove(_ context.Context, name string) error {
	if m.plan.mount == "" {
		return nil // it goes with the scratch
	}
	err := os.Remove(filepath.Join(m.dir, name))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
