package fs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkTransactions commits as Orthanc's index does, in a local directory.
func BenchmarkTransactions(b *testing.B) {
	for _, test := range []struct{ synchronous, locking string }{{"normal", "exclusive"}, {"full", "exclusive"}, {"full", "normal"}} {
		b.Run(test.synchronous+"/"+test.locking, func(b *testing.B) {
			r := newRig(b)
			var rate float64
			for b.Loop() {
				out, err := exec.Command("/usr/bin/python3", "testdata/transactions.py",
					filepath.Join(r.dir, "index"), "1", test.synchronous, test.locking).Output()
				if err != nil {
					b.Fatal(err)
				}
				if rate, err = strconv.ParseFloat(strings.TrimSpace(string(out)), 64); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(rate, "transactions/s")
		})
	}
}

// BenchmarkLocalCalls makes the calls that Orthanc and SQLite make on the files of
// an index.
func BenchmarkLocalCalls(b *testing.B) {
	r := newRig(b)
	path := filepath.Join(r.dir, "index")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	fd, err := syscall.Open(path, syscall.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer syscall.Close(fd)
	frame, page := make([]byte, 24), make([]byte, 4096)
	var st syscall.Stat_t
	for _, call := range []struct {
		name string
		do   func() error
	}{
		{"stat", func() error { return syscall.Stat(path, &st) }},
		{"stat of what is missing", func() error { syscall.Stat(path+"-wal", &st); return nil }},
		{"fstat", func() error { return syscall.Fstat(fd, &st) }},
		{"open and close", func() error {
			fd, err := syscall.Open(path, syscall.O_RDWR, 0)
			syscall.Close(fd)
			return err
		}},
		{"create, close, unlink", func() error {
			fd, err := syscall.Open(path+"-journal", syscall.O_RDWR|syscall.O_CREAT, 0o600)
			syscall.Close(fd)
			syscall.Unlink(path + "-journal")
			return err
		}},
		{"pwrite of 24 bytes", func() error { _, err := syscall.Pwrite(fd, frame, 4096); return err }},
		{"pwrite of 4096 bytes", func() error { _, err := syscall.Pwrite(fd, page, 8192); return err }},
		{"pread of 4096 bytes", func() error { _, err := syscall.Pread(fd, page, 8192); return err }},
		{"pwrite and pread", func() error {
			syscall.Pwrite(fd, page, 8192)
			_, err := syscall.Pread(fd, page, 16384)
			return err
		}},
		{"ftruncate", func() error { return syscall.Ftruncate(fd, 1<<20) }},
		{"fcntl of a lock", func() error {
			return syscall.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK, Len: 1})
		}},
	} {
		b.Run(call.name, func(b *testing.B) {
			for b.Loop() {
				if err := call.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
