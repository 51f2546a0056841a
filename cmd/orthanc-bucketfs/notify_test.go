package main

import (
	"bytes"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"orthanc-bucketfs/cmd/internal/probe"
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
	s := newSupervisor(slog.New(slog.DiscardHandler))
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
	s := newSupervisor(slog.New(slog.NewTextHandler(&log, nil)))
	t.Setenv("NOTIFY_SOCKET", "")
	s.ready("serving")
	s.feedWatchdog(t.Context(), probe.New(func() error { return nil }))
	s.close()
	if log.Len() > 0 {
		t.Errorf("without systemd it says %q", &log)
	}
}

func TestNotifyASocketThatIsGone(t *testing.T) {
	var log bytes.Buffer
	s := newSupervisor(slog.New(slog.NewTextHandler(&log, nil)))
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	s.ready("serving")
	s.close()
	if !strings.Contains(log.String(), "cannot tell systemd") {
		t.Errorf("it is not mentioned: %q", &log)
	}
}

// Nobody waits for a systemd that takes no messages: neither who serves nor, for
// more than a moment, the end.
func TestNotifyASystemdThatStandsStill(t *testing.T) {
	socket := listenAsSystemd(t)
	s := newSupervisor(slog.New(slog.DiscardHandler))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 5000 { // more than any socket holds
			s.status("serving")
		}
		s.close()
	}()
	select {
	case <-done:
	case <-time.After(hang):
		t.Fatal("it waits")
	}
	if got := socket.next(); got != "STATUS=serving" {
		t.Errorf("got %q", got)
	}
}
