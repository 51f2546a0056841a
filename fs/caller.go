package fs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// A look at a caller must never wait for it, because the caller waits for the
// answer. In execve the kernel closes files under signal->exec_update_lock, and
// most of /proc/PID takes that lock: on Linux 6.18 stat, wchan, io, environ, maps,
// syscall, stack, and the links fd/N, exe, cwd, root and ns. /proc/PID/status does
// not, and needs no rights.

const (
	// lookPatience bounds a look at a caller, should it block nevertheless.
	lookPatience = 5 * time.Second

	// interruptPatience is how long a flush of a caller that cannot be seen waits
	// for the interrupt that the kernel sends along if a signal is pending.
	interruptPatience = 20 * time.Millisecond
)

// sigkill is the bit of SIGKILL in the masks of /proc/PID/status. The kernel
// turns every signal that ends a process into a SIGKILL for its threads.
const sigkill = 1 << (9 - 1)

// Flags of a thread, from the kernel's include/linux/sched.h: it is past return,
// and it ends by a signal, or because another thread of its process calls exit.
const (
	pfExiting  = 0x4
	pfSignaled = 0x400
)

// callerID returns the thread that made a request, or 0 if it lives in a
// process namespace that this process cannot see.
func callerID(ctx context.Context) uint32 {
	if c, ok := fuse.FromContext(ctx); ok {
		return c.Pid
	}
	return 0
}

// status is what /proc/PID/status tells.
type status struct {
	process   uint32 // the thread group
	hasMemory bool
	fdSize    int    // 0 if it has no table of files any more
	signals   uint64 // pending for the thread or its process
}

// statusOf reports false if there is none to be seen.
func statusOf(tid uint32) (s status, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return status{}, false
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		s.set(name, strings.TrimSpace(value))
	}
	return s, s.process != 0
}

func (s *status) set(name, value string) {
	switch name {
	case "Tgid":
		n, _ := strconv.ParseUint(value, 10, 32)
		s.process = uint32(n)
	case "VmSize":
		s.hasMemory = true
	case "FDSize":
		s.fdSize, _ = strconv.Atoi(value)
	case "SigPnd", "ShdPnd":
		n, _ := strconv.ParseUint(value, 16, 64)
		s.signals |= n
	}
}

// exiting reports that the thread is closing its files because it ends. It is
// past the point where its process could begin an execve.
func (s status) exiting() bool { return !s.hasMemory && s.fdSize == 0 }

// processOf returns the process that a thread belongs to, or 0.
func processOf(tid uint32) uint32 {
	if tid == 0 {
		return 0
	}
	return soon(func() uint32 {
		s, _ := statusOf(tid)
		return s.process
	}, 0)
}

// exists reports that there is such a process.
func exists(process uint32) bool {
	return soon(func() bool {
		_, err := os.Lstat(fmt.Sprintf("/proc/%d", process))
		return err == nil
	}, true)
}

// dying reports that the thread, which waits for an answer, has been killed.
func dying(tid uint32) bool {
	s, _ := statusOf(tid)
	return s.signals&sigkill != 0
}

// deaf reports that the thread will not hear the answer that it waits for.
func deaf(tid uint32) bool {
	return tid != 0 && soon(func() bool { return dying(tid) }, false)
}

// killed reports that the caller closes a file because a signal has ended its
// process. One that cannot be seen has been killed if a signal is pending, for
// all that can be known: it may have been one that ends nothing.
func killed(ctx context.Context) bool {
	if tid := callerID(ctx); tid != 0 {
		return soon(func() bool { return endsBySignal(tid) }, true)
	}
	select {
	case <-ctx.Done():
		return true
	case <-time.After(interruptPatience):
		return false
	}
}

// endsBySignal reads /proc/PID/stat only of a thread that ends: for as long as it
// waits for the answer to its flush, no thread of its process can be in execve,
// which waits for the others to end before it takes the lock.
func endsBySignal(tid uint32) bool {
	s, ok := statusOf(tid)
	if !ok || !s.exiting() {
		return false
	}
	return s.signals&sigkill != 0 || flagsOf(tid)&(pfExiting|pfSignaled) == pfExiting|pfSignaled
}

func flagsOf(tid uint32) uint64 {
	const state, flags = 3, 9 // fields, counted from 1 as proc(5) does
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid))
	if err != nil {
		return 0
	}
	// Field 2 is the command in parentheses and may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= flags-state {
		return 0
	}
	n, _ := strconv.ParseUint(fields[flags-state], 10, 64)
	return n
}

// soon returns what look returns, or otherwise if that takes too long.
func soon[T any](look func() T, otherwise T) T {
	answer := make(chan T, 1)
	go func() { answer <- look() }()
	patience := time.NewTimer(lookPatience)
	defer patience.Stop()
	select {
	case seen := <-answer:
		return seen
	case <-patience.C:
		return otherwise
	}
}
