package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// freezeInCommit stops the daemon (SIGSTOP) at a moment when it is writing an
// object: when it has a file below the bucket open for writing. As long as it
// has not, it goes on until the next acknowledgement.
func (b *burst) freezeInCommit() error {
	for {
		if err := b.p.freeze(); err != nil {
			return err
		}
		writing, err := b.p.isWriting()
		if writing || err != nil {
			return err
		}
		if err := b.p.daemon.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		if err := b.awaitAcks(b.p.ctx, 1); err != nil {
			return err
		}
	}
}

// freeze returns when all threads of the daemon have stopped.
func (p *pacs) freeze() error {
	if err := p.daemon.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		err := unix.Waitid(unix.P_PID, p.daemon.Pid(), nil, unix.WSTOPPED, nil)
		if err != unix.EINTR {
			return err
		}
	}
}

// isWriting looks through the daemon's file descriptors.
func (p *pacs) isWriting() (bool, error) {
	proc := fmt.Sprintf("/proc/%d", p.daemon.Pid())
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return false, err
	}
	for _, fd := range fds {
		inBucket, err := p.isInBucket(filepath.Join(proc, "fd", fd.Name()))
		if err != nil {
			return false, err
		}
		if !inBucket {
			continue
		}
		info, err := os.ReadFile(filepath.Join(proc, "fdinfo", fd.Name()))
		if err != nil {
			return false, err
		}
		if opensForWriting(string(info)) {
			return true, nil
		}
	}
	return false, nil
}

// isInBucket tells whether a descriptor leads to a file of the bucket. The daemon
// has opened that through a mount of its own, in which paths begin at the bucket.
func (p *pacs) isInBucket(descriptor string) (bool, error) {
	target, err := os.Readlink(descriptor)
	if err != nil {
		return false, err
	}
	opened, err := os.Stat(descriptor)
	if err != nil || !opened.Mode().IsRegular() {
		return false, nil
	}
	dir := p.site.Bucket().Dir
	named, err := os.Stat(filepath.Join(dir, strings.TrimPrefix(target, dir)))
	return err == nil && os.SameFile(opened, named), nil
}

// opensForWriting reads the octal flags of /proc/PID/fdinfo/N (proc(5)).
func opensForWriting(info string) bool {
	for line := range strings.Lines(info) {
		var flags int
		if n, _ := fmt.Sscanf(line, "flags: %o", &flags); n == 1 {
			return flags&syscall.O_ACCMODE != syscall.O_RDONLY
		}
	}
	return false
}
