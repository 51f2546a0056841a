package fs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Fields of /proc/PID/stat, counted from 1 as proc(5) does.
const (
	statState    = 3 // the first after the command
	statFlags    = 9
	statExitCode = 52
)

// pfExiting is the flag of a thread that is past return, from the kernel's
// include/linux/sched.h.
const pfExiting = 0x4

// sigkill is the bit of SIGKILL in the masks of /proc/PID/status. The kernel
// turns every signal that ends a process into a SIGKILL for its threads.
const sigkill = 1 << (9 - 1)

// dyingPoll is the time between two looks at an interrupted caller.
const dyingPoll = 100 * time.Millisecond

// callerID returns the thread that made a request, or 0 if it lives in a
// process namespace that this process cannot see.
func callerID(ctx context.Context) uint32 {
	if c, ok := fuse.FromContext(ctx); ok {
		return c.Pid
	}
	return 0
}

// killed reports that the thread is ending because a signal has ended its
// process. One that ends because another thread of it called exit is not.
func killed(tid uint32) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid))
	if err != nil {
		return false
	}
	// Field 2 is the command in parentheses and may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= statExitCode-statState {
		return false
	}
	flags, _ := strconv.ParseUint(fields[statFlags-statState], 10, 64)
	code, _ := strconv.Atoi(fields[statExitCode-statState])
	return flags&pfExiting != 0 && syscall.WaitStatus(code).Signaled()
}

// dying reports that the thread has been killed but may not have noticed yet.
func dying(tid uint32) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(status)) {
		name, mask, _ := strings.Cut(line, ":")
		if name != "SigPnd" && name != "ShdPnd" {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
		if err == nil && n&sigkill != 0 {
			return true
		}
	}
	return killed(tid)
}

// sameProcess reports that thread b belongs to the process of thread a.
func sameProcess(a, b uint32) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", a, b))
	return err == nil
}

// hasOpen reports that the thread's process has a file open whose path ends
// with the given one.
func hasOpen(tid uint32, path string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", tid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		target, err := os.Readlink(filepath.Join(dir, fd.Name()))
		if err == nil && strings.HasSuffix(target, "/"+path) {
			return true
		}
	}
	return false
}

// untilDying returns a context that ends when ctx's caller is being killed, but
// not when it merely receives a signal: a write that failed because of one
// would spoil the file. It costs nothing until somebody waits on it.
func untilDying(ctx context.Context) *patientContext { return &patientContext{Context: ctx} }

type patientContext struct {
	context.Context
	once   sync.Once
	inner  context.Context
	cancel context.CancelFunc
}

func (p *patientContext) Done() <-chan struct{} {
	p.once.Do(p.start)
	return p.inner.Done()
}

func (p *patientContext) Err() error {
	if p.inner == nil {
		return nil
	}
	return p.inner.Err()
}

// stop ends the watch, if there is one.
func (p *patientContext) stop() {
	if p.cancel != nil {
		p.cancel()
	}
}

func (p *patientContext) start() {
	p.inner, p.cancel = context.WithCancel(context.WithoutCancel(p.Context))
	tid := callerID(p.Context)
	go func() {
		select {
		case <-p.Context.Done():
		case <-p.inner.Done():
			return
		}
		for tid != 0 && !dying(tid) && p.inner.Err() == nil {
			time.Sleep(dyingPoll)
		}
		if tid != 0 {
			p.cancel()
		}
	}()
}
