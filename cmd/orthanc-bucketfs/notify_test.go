package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"orthanc-bucketfs/fs"
)

// systemdSocket listens where systemd would.
type systemdSocket struct {
	*testing.T
	conn *net.UnixConn
}

func listenAsSystemd(t *testing.T) systemdSocket {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return systemdSocket{t, conn}
}

// next waits for a message.
func (s systemdSocket) next() string {
	s.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		s.Fatal(err)
	}
	text := make([]byte, 4096)
	n, err := s.conn.Read(text)
	if err != nil {
		s.Fatalf("systemd was not told anything: %v", err)
	}
	return string(text[:n])
}

// none sees that no message is there.
func (s systemdSocket) none() {
	s.Helper()
	raw, err := s.conn.SyscallConn()
	if err != nil {
		s.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		text := make([]byte, 4096)
		if n, _, err := syscall.Recvfrom(int(fd), text, syscall.MSG_DONTWAIT); err == nil {
			s.Errorf("systemd was told %q", text[:n])
		}
	})
	if err != nil {
		s.Fatal(err)
	}
}

func TestNotify(t *testing.T) {
	socket := listenAsSystemd(t)
	s := supervisor{slog.New(slog.DiscardHandler)}
	s.status("failed: one\nREADY=1")
	s.ready("serving")
	s.stopping("finishing")
	for _, want := range []string{"STATUS=failed: one; READY=1", "READY=1\nSTATUS=serving", "STOPPING=1\nSTATUS=finishing"} {
		if got := socket.next(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNotifyWithoutSystemd(t *testing.T) {
	var log bytes.Buffer
	s := supervisor{slog.New(slog.NewTextHandler(&log, nil))}
	t.Setenv("NOTIFY_SOCKET", "")
	s.ready("serving")
	s.feedWatchdog(t.Context(), "/")
	if log.Len() > 0 {
		t.Errorf("without systemd it says %q", &log)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	s.ready("serving")
	if !strings.Contains(log.String(), "cannot tell systemd") {
		t.Errorf("a socket that is gone is not mentioned: %q", &log)
	}
}

// The watchdog is fed when the file system has answered, not when it was asked.
func TestWatchdogIsFedByTheMount(t *testing.T) {
	mount := mountSlow(t)
	socket := listenAsSystemd(t)
	t.Setenv("WATCHDOG_USEC", strconv.Itoa(int(4*time.Minute/time.Microsecond)))
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	s := supervisor{slog.New(slog.DiscardHandler)}
	s.feedWatchdog(t.Context(), mount.dir)
	<-mount.asked
	socket.none()
	mount.answer <- struct{}{}
	if got := socket.next(); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
}

func TestWatchdogIsNotFedByAnError(t *testing.T) {
	socket := listenAsSystemd(t)
	var log bytes.Buffer
	s := supervisor{slog.New(slog.NewTextHandler(&log, nil))}
	s.feedOnce(t.Context(), filepath.Join(t.TempDir(), "gone"), time.Minute)
	socket.none()
	if !strings.Contains(log.String(), "does not answer") {
		t.Errorf("the log says %q", &log)
	}
}

// slowMount is a mount that answers statfs only when it is told to.
type slowMount struct {
	gofs.Inode
	dir    string
	asked  chan struct{}
	answer chan struct{}
}

func (m *slowMount) Statfs(context.Context, *fuse.StatfsOut) syscall.Errno {
	m.asked <- struct{}{}
	<-m.answer
	return 0
}

func mountSlow(t *testing.T) *slowMount {
	t.Helper()
	if err := fs.Mountable(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	m := &slowMount{dir: t.TempDir(), asked: make(chan struct{}, 8), answer: make(chan struct{}, 8)}
	options := fuse.MountOptions{DirectMount: os.Geteuid() == 0, Logger: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	server, err := gofs.Mount(m.dir, m, &gofs.Options{MountOptions: options})
	if err != nil {
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
