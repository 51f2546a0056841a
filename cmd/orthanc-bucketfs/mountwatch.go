package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mountLook is how often the table of mounts is looked at if the kernel does not
// tell that it has changed.
const mountLook = 10 * time.Second

// mountWatch looks for a file system in the table of mounts.
type mountWatch struct {
	table  *os.File
	device string // its number there
}

// watchMount returns one for the file system of root. It fails where this process
// does not see that mount.
func watchMount(root *os.File) (*mountWatch, error) {
	device, err := deviceOf(root)
	if err != nil {
		return nil, err
	}
	// The runtime's poller, which knows every file of os.Open's that can be polled,
	// would be told of the changes in our place.
	fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open /proc/self/mountinfo", err)
	}
	table := os.NewFile(uintptr(fd), "/proc/self/mountinfo")
	if !lists(table, device) {
		return nil, errors.Join(errors.New("this process does not see the mount"), table.Close())
	}
	return &mountWatch{table, device}, nil
}

// wait calls gone when the file system is not mounted any more: a process that
// holds its root open would otherwise keep serving what nobody can reach. It
// returns then, or when ctx ends.
func (w *mountWatch) wait(ctx context.Context, gone func()) {
	defer w.table.Close()
	for lists(w.table, w.device) {
		if ctx.Err() != nil {
			return
		}
		awaitChange(ctx, w.table)
	}
	gone()
}

// deviceOf returns the number of a file system as the table has it. The file
// system is not asked.
func deviceOf(root *os.File) (string, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(root.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &st); err != nil {
		return "", os.NewSyscallError("statx", err)
	}
	return fmt.Sprintf("%d:%d", st.Dev_major, st.Dev_minor), nil
}

// lists tells whether a table has a device. One that cannot be read has.
func lists(table io.ReadSeeker, device string) bool {
	_, err := table.Seek(0, io.SeekStart)
	if err != nil {
		return true
	}
	text, err := io.ReadAll(table)
	for line := range strings.Lines(string(text)) {
		const number = 2
		if columns := strings.Fields(line); len(columns) > number && columns[number] == device {
			return true
		}
	}
	return err != nil
}

func awaitChange(ctx context.Context, table *os.File) {
	changed := []unix.PollFd{{Fd: int32(table.Fd()), Events: unix.POLLPRI}}
	for waited := time.Duration(0); waited < mountLook && ctx.Err() == nil; waited += time.Second {
		if n, _ := unix.Poll(changed, int(time.Second/time.Millisecond)); n > 0 {
			return
		}
	}
}
