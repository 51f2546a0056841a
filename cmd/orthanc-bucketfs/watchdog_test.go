package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/cmd/internal/access"
	"orthanc-bucketfs/cmd/internal/logqueue"
	"orthanc-bucketfs/cmd/internal/metrics"
	"orthanc-bucketfs/cmd/internal/probe"
	"orthanc-bucketfs/fs"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

// vitalsOf asks what serves a mount at dir.
func vitalsOf(t *testing.T, dir string) *probe.Probe {
	t.Helper()
	m := &mounting{cfg: Config{Mountpoint: dir}, queue: logqueue.New(io.Discard, logqueue.Default(), nil)}
	return m.vitals(t.Context(), &stack{budget: budget.New(1<<20, time.Minute)})
}

// The watchdog is fed when the file system has answered both questions, not when
// they were asked.
func TestWatchdogIsFedByTheMount(t *testing.T) {
	mount := mountSlow(t)
	socket := listenAsSystemd(t)
	t.Setenv("WATCHDOG_USEC", strconv.Itoa(int(4*time.Minute/time.Microsecond)))
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	s := newSupervisor(slog.New(slog.DiscardHandler))
	s.feedWatchdog(t.Context(), vitalsOf(t, mount.dir))
	for _, question := range []string{"statfs", "lookup"} {
		mount.wantAsked(t, question)
		socket.none()
		mount.answer <- struct{}{}
	}
	if got := socket.next(); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
}

// A tree that answers statfs and hangs in a lookup is one that hangs.
func TestWatchdogIsNotFedByAHungTree(t *testing.T) {
	mount := mountSlow(t)
	socket := listenAsSystemd(t)
	vitals := vitalsOf(t, mount.dir)
	go func() { _ = vitals.Check(t.Context()) }()
	mount.wantAsked(t, "statfs")
	mount.answer <- struct{}{}
	mount.wantAsked(t, "lookup")
	var log bytes.Buffer
	s := newSupervisor(slog.New(slog.NewTextHandler(&log, nil)))
	for range 10 {
		s.feedOnce(t.Context(), vitals, time.Millisecond)
	}
	s.close()
	socket.none()
	if strings.Count(log.String(), "does not answer") != 10 || len(mount.asked) > 0 {
		t.Errorf("it was asked %d times more, and the log says %q", len(mount.asked), &log)
	}
}

func TestWatchdogIsNotFedByAnError(t *testing.T) {
	socket := listenAsSystemd(t)
	var log bytes.Buffer
	s := newSupervisor(slog.New(slog.NewTextHandler(&log, nil)))
	s.feedOnce(t.Context(), vitalsOf(t, filepath.Join(t.TempDir(), "gone")), hang)
	s.close()
	socket.none()
	if !strings.Contains(log.String(), "does not answer") {
		t.Errorf("the log says %q", &log)
	}
}

// With a bucket that never answers, the mount is well all the same.
func TestWatchdogIsFedDuringAnOutage(t *testing.T) {
	needMount(t)
	gate := backendtest.NewGate()
	bucket := backendtest.NewFaulty(backendtest.NewMem())
	bucket.Inject(func(backendtest.Call) backendtest.Fault { return backendtest.Hold(gate) })
	store := attachment.NewStore(attachment.Options{
		Bucket: bucket, Codec: attachment.Plain(), Budget: budget.New(1<<20, time.Minute),
		Log: slog.New(slog.DiscardHandler), Timing: attachment.DefaultTiming(),
	})
	dir := t.TempDir()
	m, err := fs.New(fs.Options{Mountpoint: dir, Store: store, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := keepFromChildren(); err != nil {
		t.Fatal(err)
	}
	looked := make(chan error, 1)
	t.Cleanup(func() {
		gate.Open()
		<-looked
		if err := m.Unmount(); err != nil {
			t.Error(err)
		}
		store.Close()
	})
	names, err := access.Names(1)
	if err != nil {
		t.Fatal(err)
	}
	go func() { looked <- stat(context.Background(), filepath.Join(dir, names[0])) }() // a child: it cannot be killed while it hangs
	<-gate.Arrived()
	socket := listenAsSystemd(t)
	s := newSupervisor(slog.New(slog.DiscardHandler))
	s.feedOnce(t.Context(), vitalsOf(t, dir), hang)
	if got := socket.next(); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
}

// Whoever asks for the health of a mount that hangs is told so, each time.
func TestHealthOfAHungMount(t *testing.T) {
	mount := mountSlow(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	health := metrics.Health{Mount: vitalsOf(t, mount.dir).Check, Store: func(context.Context) error { return nil }}
	server := metrics.New(metrics.Build{}).Serve(l, health, false, slog.New(slog.DiscardHandler))
	defer server.Close()
	client := http.Client{Timeout: hang}
	for _, path := range []string{"/healthz", "/readyz"} {
		resp, err := client.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "the mount does not answer") {
			t.Errorf("%s: %d %s, %v", path, resp.StatusCode, body, err)
		}
	}
	if n := len(mount.asked); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}

// slowMount is a mount that answers statfs and lookups only when it is told to.
type slowMount struct {
	gofs.Inode
	dir    string
	asked  chan string
	answer chan struct{}
}

func (m *slowMount) Statfs(context.Context, *fuse.StatfsOut) syscall.Errno {
	m.asked <- "statfs"
	<-m.answer
	return 0
}

func (m *slowMount) Lookup(context.Context, string, *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	m.asked <- "lookup"
	<-m.answer
	return nil, syscall.ENOENT
}

func (m *slowMount) wantAsked(t *testing.T, question string) {
	t.Helper()
	select {
	case got := <-m.asked:
		if got != question {
			t.Fatalf("asked for %s, want %s", got, question)
		}
	case <-time.After(hang):
		t.Fatalf("nobody asks for %s", question)
	}
}

func mountSlow(t *testing.T) *slowMount {
	t.Helper()
	needMount(t)
	m := &slowMount{dir: t.TempDir(), asked: make(chan string, 64), answer: make(chan struct{}, 8)}
	options := fuse.MountOptions{DirectMount: os.Geteuid() == 0, Logger: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	server, err := gofs.Mount(m.dir, m, &gofs.Options{MountOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	if err := keepFromChildren(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(m.answer)
		if err := server.Unmount(); err != nil {
			t.Error(errors.Join(err, fs.Detach(m.dir)))
		}
	})
	return m
}
