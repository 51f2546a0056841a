package fs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends/backendtest"
)

// What a process does to the mount when it is signalled, killed or forks can
// only be seen from another process: this test binary, started again with the
// name of a scene.
const sceneVariable = "ORTHANC_BUCKETFS_TEST_SCENE"

func TestMain(m *testing.M) {
	if scene := os.Getenv(sceneVariable); scene != "" {
		scenes()[scene](os.Args[1])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func scenes() map[string]func(path string) {
	return map[string]func(string){
		"mount": mountScene,
		// writes a part and waits to be killed
		"write": func(path string) {
			fd := mustCreate(path)
			syscall.Write(fd, make([]byte, 10_000))
			say("ready")
			io.Copy(io.Discard, os.Stdin)
		},
		"fsync": func(path string) {
			fd := mustCreate(path)
			syscall.Write(fd, []byte("content"))
			say("ready")
			say(fmt.Sprint(syscall.Fdatasync(fd)))
		},
		// wait in a call, with a handler for SIGUSR1
		"open":   waitIn(func(path string) error { _, err := syscall.Open(path, syscall.O_RDONLY, 0); return err }),
		"stat":   waitIn(func(path string) error { return syscall.Stat(path, new(syscall.Stat_t)) }),
		"unlink": waitIn(syscall.Unlink),
		"list": waitIn(func(path string) error {
			fd, err := syscall.Open(filepath.Dir(path), syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
			if err == nil {
				_, err = syscall.Getdents(fd, make([]byte, 4096))
			}
			return err
		}),
		// waits in write, with a handler for SIGUSR1
		"wait to write": func(path string) {
			signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
			runtime.LockOSThread()
			fd := mustCreate(path)
			say(fmt.Sprint(syscall.Gettid()))
			_, err := syscall.Write(fd, []byte("content"))
			say(errnoName(err))
			say(fmt.Sprint(syscall.Close(fd)))
		},
		// has a child that inherits the file and exits in the middle of it
		"fork": func(path string) {
			fd := mustCreate(path)
			syscall.Write(fd, []byte("first "))
			child := exec.Command("/bin/true")
			child.ExtraFiles = []*os.File{os.NewFile(uintptr(dup(fd)), "")}
			if err := child.Run(); err != nil {
				panic(err)
			}
			_, err := syscall.Write(fd, []byte("second"))
			say(errnoName(err))
			say(fmt.Sprint(syscall.Close(fd)))
		},
		// hands the file to a child that writes after this one has closed it
		"hand over early": func(path string) {
			file := os.NewFile(uintptr(mustCreate(path)), "")
			child := exec.Command("/bin/sh", "-c", "read go; echo by the child")
			child.Stdout = file
			in, err := child.StdinPipe()
			if err != nil {
				panic(err)
			}
			if err := child.Start(); err != nil {
				panic(err)
			}
			say(fmt.Sprint(file.Close()))
			fmt.Fprintln(in, "go")
			say(fmt.Sprint(child.Wait()))
		},
		// hands the file to a child that writes all of it
		"hand over": func(path string) {
			file := os.NewFile(uintptr(mustCreate(path)), "")
			child := exec.Command("/bin/echo", "by the child")
			child.Stdout = file
			if err := child.Run(); err != nil {
				panic(err)
			}
			say(fmt.Sprint(file.Close()))
		},
	}
}

func waitIn(call func(path string) error) func(path string) {
	return func(path string) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
		runtime.LockOSThread()
		say(fmt.Sprint(syscall.Gettid()))
		say(errnoName(call(path)))
	}
}

func mustCreate(path string) int {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		panic(err)
	}
	return fd
}

// dup keeps the close of a duplicate by os.File out of the scene.
func dup(fd int) int {
	second, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return second
}

func errnoName(err error) string {
	if errno, ok := err.(syscall.Errno); ok {
		return unix.ErrnoName(errno)
	}
	return "ok"
}

func say(line string) { fmt.Println(line) }

// actor is a process that plays a scene.
type actor struct {
	*exec.Cmd
	lines *bufio.Reader
}

// play starts a scene on attachment n.
func (r *rig) play(t *testing.T, scene string, n int) *actor {
	t.Helper()
	cmd := exec.Command(os.Args[0], r.path(n))
	cmd.Env = append(os.Environ(), sceneVariable+"="+scene)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			r.abort() // the process may be waiting for an answer of the mount
		}
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &actor{Cmd: cmd, lines: bufio.NewReader(out)}
}

// hear returns the next line that the actor says.
func (a *actor) hear(t *testing.T) string {
	t.Helper()
	line, err := a.lines.ReadString('\n')
	if err != nil {
		t.Fatalf("the process said nothing: %v", err)
	}
	return strings.TrimSpace(line)
}

func (a *actor) want(t *testing.T, line string) {
	t.Helper()
	if got := a.hear(t); got != line {
		t.Errorf("the process said %q, want %q", got, line)
	}
}

// A process that is killed in the middle of a file leaves nothing.
func TestKilledWhileWriting(t *testing.T) { inBothModes(t, testKilledWhileWriting) }

func testKilledWhileWriting(t *testing.T, mode mode) {
	r := newRig(t, mode)
	a := r.play(t, "write", 1)
	a.want(t, "ready")
	a.Process.Kill()
	a.Wait()
	if r.inBucket(t, 1) {
		t.Error("half a file was committed")
	}
	if _, err := os.Stat(r.path(1)); !os.IsNotExist(err) {
		t.Errorf("stat: %v", err)
	}
	wantCalls(t, "uploads", r, 0, backendtest.OpCreate)
	if !strings.Contains(r.log.String(), "its writer was killed") {
		t.Errorf("the log does not say so:\n%s", r.log)
	}
	mustStore(t, r.path(1), []byte("content"))
}

// One that exits in peace has finished the file. It has one thread: of those of
// others, all but one look as if they were killed.
func TestExitWithoutClose(t *testing.T) { inBothModes(t, testExitWithoutClose) }

func testExitWithoutClose(t *testing.T, mode mode) {
	r := newRig(t, mode)
	r.python(t, `
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"content")
os._exit(0)`, 1)
	wantFile(t, r.path(1), []byte("content"))
}

// One that goes on as another program has finished it, too. The kernel closes the
// file under a lock that a look at the process would wait for.
func TestExecWhileWriting(t *testing.T) { inBothModes(t, testExecWhileWriting) }

func testExecWhileWriting(t *testing.T, mode mode) {
	r := newRig(t, mode)
	r.python(t, `
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"content")
os.execv("/bin/true", ["true"])`, 1)
	wantFile(t, r.path(1), []byte("content"))
}

// python has a program of one thread end with attachment n.
func (r *rig) python(t *testing.T, program string, n int) {
	t.Helper()
	if out, err := python(t, program, r.path(n)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func python(t *testing.T, program, path string) *exec.Cmd {
	t.Helper()
	const interpreter = "/usr/bin/python3"
	if _, err := os.Stat(interpreter); err != nil {
		t.Skip("needs python3")
	}
	cmd := exec.CommandContext(t.Context(), interpreter, "-c", "import os, resource, signal, sys\n"+program, path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// However a writer dies, nothing is left of a file that it has not finished.
func TestDeathsWhileWriting(t *testing.T) { inBothModes(t, testDeathsWhileWriting) }

func testDeathsWhileWriting(t *testing.T, mode mode) {
	r := newRig(t, mode)
	for n, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSEGV, syscall.SIGABRT} {
		out, err := python(t, fmt.Sprintf(`
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"half of the content")
os.kill(os.getpid(), %d)
signal.pause()`, sig), r.path(n)).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != sig {
			t.Fatalf("%v: %s", err, out)
		}
		if r.inBucket(t, n) {
			t.Errorf("%v: half a file was committed", sig)
		}
	}
	wantCalls(t, "uploads", r, 0, backendtest.OpCreate)
}

// A commit under way does not end with the process that waits for it.
func TestKilledDuringCommit(t *testing.T) { inBothModes(t, testKilledDuringCommit) }

func testKilledDuringCommit(t *testing.T, mode mode) {
	r := newRig(t, mode)
	gate := backendtest.NewGate()
	r.faulty.Inject(backendtest.Each(backendtest.OpCreate, backendtest.Hold(gate)))
	a := r.play(t, "fsync", 1)
	a.want(t, "ready")
	<-gate.Arrived()
	a.Process.Kill()
	gate.Open()
	a.Wait()
	if !strings.Contains(r.log.String(), "was killed meanwhile") {
		t.Errorf("the log does not say so:\n%s", r.log)
	}
	wantCalls(t, "uploads", r, 1, backendtest.OpCreate)
	wantFile(t, r.path(1), []byte("content"))
}

func TestSignalledDuringCommit(t *testing.T) { inBothModes(t, testSignalledDuringCommit) }

func testSignalledDuringCommit(t *testing.T, mode mode) {
	r := newRig(t, mode)
	gate := backendtest.NewGate()
	r.faulty.Inject(backendtest.Each(backendtest.OpCreate, backendtest.Hold(gate)))
	a := r.play(t, "fsync", 1)
	a.want(t, "ready")
	<-gate.Arrived()
	a.Process.Signal(syscall.SIGURG) // which the Go runtime handles
	gate.Open()
	a.want(t, "<nil>")
	wantFile(t, r.path(1), []byte("content"))
}

// A signal that does not kill ends nothing: an error would reach a program that
// was only stopped and continued.
func TestSignalledWhileWaiting(t *testing.T) {
	for scene, op := range map[string]backendtest.Op{"open": backendtest.OpRead, "stat": backendtest.OpStat, "list": backendtest.OpList, "unlink": backendtest.OpDelete} {
		for _, stops := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stops=%v", scene, stops), func(t *testing.T) { testSignalledWhileWaiting(t, scene, op, stops) })
		}
	}
}

func testSignalledWhileWaiting(t *testing.T, scene string, op backendtest.Op, stops bool) {
	mem := backendtest.NewMem()
	on := func(s *setting) { s.on = mem }
	mustStore(t, newRig(t, on).path(1), []byte("content"))
	r := newRig(t, on)
	gate := backendtest.NewGate()
	r.faulty.Inject(backendtest.Nth(op, 1, backendtest.Hold(gate)))
	a := r.play(t, scene, 1)
	var tid int
	fmt.Sscan(a.hear(t), &tid)
	<-gate.Arrived()
	signals := []syscall.Signal{syscall.SIGUSR1}
	if stops {
		signals = []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT}
	}
	for _, sig := range signals {
		if err := unix.Tgkill(a.Process.Pid, tid, sig); err != nil {
			t.Fatal(err)
		}
		r.waitInterrupt(t)
	}
	gate.Open()
	a.want(t, "ok")
	if scene != "unlink" {
		wantFile(t, r.path(1), []byte("content"))
	} else if r.inBucket(t, 1) {
		t.Error("not deleted")
	}
}

func TestKilledWhileOpening(t *testing.T) {
	r := newRig(t)
	mustStore(t, r.path(1), []byte("content"))
	gate := backendtest.NewGate()
	r.faulty.Inject(backendtest.Nth(backendtest.OpRead, 1, backendtest.Hold(gate)))
	a := r.play(t, "open", 1)
	a.hear(t)
	<-gate.Arrived()
	a.Process.Kill()
	a.Wait() // would hang if the open did not end
	wantFile(t, r.path(1), []byte("content"))
}

// A write that waits for memory is not spoilt by a harmless signal.
func TestSignalledWhileWaitingToWrite(t *testing.T) {
	r := newRig(t, func(s *setting) { s.limit = 1 << 20 })
	mustStore(t, r.path(1), testContent(1<<20, 1))
	holder, err := os.Open(r.path(1))
	if err != nil {
		t.Fatal(err)
	}
	a := r.play(t, "wait to write", 2)
	var tid int
	fmt.Sscan(a.hear(t), &tid)
	r.waitWaiting(t)
	if err := unix.Tgkill(a.Process.Pid, tid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.waitInterrupt(t)
	holder.Close()
	a.want(t, "ok")
	a.want(t, "<nil>")
	a.Wait()
	wantFile(t, r.path(2), []byte("content"))
}

// One that belongs to a killed process gives its place up at once, and not when
// the budget's patience ends.
func TestKilledWhileWaitingToWrite(t *testing.T) {
	r := newRig(t, func(s *setting) { s.limit, s.patience = 1<<20, time.Hour })
	mustStore(t, r.path(1), testContent(1<<20, 1))
	holder, err := os.Open(r.path(1))
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	a := r.play(t, "wait to write", 2)
	a.hear(t)
	r.waitWaiting(t)
	a.Process.Kill()
	ended := make(chan error)
	go func() { ended <- a.Wait() }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the killed process still waits")
	}
	if n := r.budget.Usage().Waiting; n != 0 || r.inBucket(t, 2) {
		t.Errorf("%d still waiting, in the bucket: %v", n, r.inBucket(t, 2))
	}
}

// A child that inherits the file and exits does not commit half of it.
func TestForkWhileWriting(t *testing.T) { inBothModes(t, testForkWhileWriting) }

func testForkWhileWriting(t *testing.T, mode mode) {
	r := newRig(t, mode)
	a := r.play(t, "fork", 1)
	a.want(t, "ok")
	a.want(t, "<nil>")
	wantCalls(t, "uploads", r, 1, backendtest.OpCreate)
	wantCalls(t, "replacements", r, 0, backendtest.OpReplace)
	wantFile(t, r.path(1), []byte("first second"))
}

func TestFileHandedToAChild(t *testing.T) { inBothModes(t, testFileHandedToAChild) }

func testFileHandedToAChild(t *testing.T, mode mode) {
	r := newRig(t, mode)
	a := r.play(t, "hand over", 1)
	a.want(t, "<nil>")
	wantFile(t, r.path(1), []byte("by the child\n"))
	a = r.play(t, "hand over early", 2)
	a.want(t, "<nil>")
	a.want(t, "<nil>")
	wantFile(t, r.path(2), []byte("by the child\n"))
}
