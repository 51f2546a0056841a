package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/cmd/internal/access"
)

// smallPipe is a pipe that holds 4 KiB: two dozen lines.
func smallPipe(t *testing.T) (from, to *os.File) {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close(); to.Close() })
	raw, err := to.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var sizing error
	if err := raw.Control(func(fd uintptr) { _, sizing = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 4096) }); err != nil || sizing != nil {
		t.Fatal(err, sizing)
	}
	return from, to
}

// storeAndRead does with n files what Orthanc does.
func (s *serving) storeAndRead(n int) error {
	names, err := access.Names(n)
	if err != nil {
		return err
	}
	content := bytes.Repeat([]byte("x"), 2000)
	for _, name := range names {
		file := filepath.Join(s.mountpoint, name)
		if err := access.Store(file, content); err != nil {
			return err
		}
		if _, err := access.Read(file, make([]byte, len(content))); err != nil {
			return err
		}
	}
	return nil
}

// Stores and reads go on while nobody takes the log, then when its reader is
// gone; what was dropped is counted, and the daemon ends as it should.
func TestTheMountDoesNotWaitForItsLog(t *testing.T) {
	from, to := smallPipe(t)
	address := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	s := startServing(t, to, fmt.Sprintf("[metrics]\nlisten = %q", address))
	to.Close()
	s.within(t, "with a reader that stands still", func() error { return s.storeAndRead(100) })
	from.Close()
	s.within(t, "with a reader that is gone", func() error { return s.storeAndRead(10) })
	s.within(t, "what was dropped", func() error {
		dropped, err := metric(address, "orthanc_bucketfs_log_lines_dropped_total")
		if err == nil && dropped == 0 {
			err = errors.New("no line of the log was counted as dropped")
		}
		return err
	})
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.within(t, "the end", func() error { return <-s.ended })
}

// metric returns what a daemon tells at address.
func metric(address, name string) (value float64, err error) {
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	_, text, found := strings.Cut(string(body), "\n"+name+" ")
	if err != nil || !found {
		return 0, fmt.Errorf("there is no %s, %w", name, err)
	}
	_, err = fmt.Sscan(text, &value)
	return value, err
}

// The start that fails says why, and ends, whatever becomes of what it says.
func TestFailedStartEndsWithoutAReader(t *testing.T) {
	_, to := smallPipe(t)
	if _, err := to.Write(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	config, _ := writeSite(t, "[log]\nlevel = 'loud'")
	cmd := programCommand(t, "mount", "--config", config)
	cmd.Stderr = to
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	to.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(hang):
		_ = cmd.Process.Kill()
		t.Error("the start does not end")
		<-ended
	}
	if code := cmd.ProcessState.ExitCode(); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
}

func TestFailedStartSaysWhy(t *testing.T) {
	config, _ := writeSite(t, "[log]\nlevel = 'loud'")
	var stderr bytes.Buffer
	cmd := programCommand(t, "mount", "--config", config)
	cmd.Stderr = &stderr
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != exitUsage || !strings.Contains(stderr.String(), `log.level: is no level`) {
		t.Errorf("%v, %s", err, &stderr)
	}
}

// The line about what is missing looks as the others do, at every level.
func TestDropNotice(t *testing.T) {
	for _, c := range []struct {
		log     Log
		journal bool
		want    string
	}{
		{Log{Level: "info", Format: "text"}, false, "time="},
		{Log{Level: "error", Format: "text"}, true, "<3>level=ERROR msg="},
		{Log{Level: "error", Format: "json"}, false, `{"time":`},
		{Log{}, false, "time="}, // the configuration could not be read
	} {
		line := string(dropNotice(c.log, c.journal)(7))
		if !strings.HasPrefix(line, c.want) || !strings.Contains(line, "7") || strings.Count(line, "\n") != 1 {
			t.Errorf("%+v: got %q", c, line)
		}
	}
}
