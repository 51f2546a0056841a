package fs

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

const reducedVariable = "ORTHANC_BUCKETFS_TEST_REDUCED"

// What depends on the callers, once more with no right but that to mount: what
// the daemon needs to know of them, it may see without.
func TestWithoutRights(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(reducedVariable) != "" {
		t.Skip("needs root, once")
	}
	const tests = "^(TestKilled|TestExit|TestExec|TestDeaths|TestFork|TestFileHanded|TestShell|TestCloseBy|TestDuplicated|TestSignalled)"
	cmd := exec.CommandContext(t.Context(), "setpriv", "--bounding-set=-all,+sys_admin", "--no-new-privs",
		os.Args[0], "-test.run", tests, "-test.timeout", "5m")
	cmd.Env = append(os.Environ(), reducedVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// mountScene mounts a bucket in memory until its input ends.
func mountScene(dir string) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	key, err := crypto.NewMasterKey(1, bytes.Repeat([]byte{1}, 32))
	if err != nil {
		panic(err)
	}
	ring, err := crypto.NewKeyRing(key)
	if err != nil {
		panic(err)
	}
	m, err := New(Options{Mountpoint: dir, Log: log, Store: attachment.NewStore(attachment.Options{
		Bucket: backendtest.NewMem(), Codec: attachment.Sealed(ring), Budget: budget.New(64<<20, time.Minute),
		Log: log, Timing: attachment.DefaultTiming(),
	})})
	if err != nil {
		panic(err)
	}
	say("ready")
	io.Copy(io.Discard, os.Stdin)
	m.Unmount()
}

// The daemon of a container of its own sees no caller.
func TestInAnotherProcessNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := mountInAnotherNamespace(t)
	for n, test := range []struct{ name, program, want string }{
		{"killed", `os.kill(os.getpid(), signal.SIGKILL)`, ""},
		{"terminated", `os.kill(os.getpid(), signal.SIGTERM); signal.pause()`, ""},
		{"child exits, then killed", `
if os.fork() == 0: os._exit(0)
os.wait(); os.kill(os.getpid(), signal.SIGKILL)`, ""},
		{"child exits", `
if os.fork() == 0: os._exit(0)
os.wait(); os.write(fd, b" second"); os.fsync(fd); os.close(fd)`, "first second"},
		{"child exits, no fsync", `
if os.fork() == 0: os._exit(0)
os.wait(); os.write(fd, b" second"); os.close(fd)`, "first second"},
		{"duplicate closed", `
os.close(os.dup(fd)); os.write(fd, b" second"); os.close(fd)`, "first second"},
		{"close", `os.close(fd)`, "first"},
		{"exec", `os.execv("/bin/true", ["true"])`, "first"},
	} {
		path := filepath.Join(dir, testUUID(n).Key())
		out, err := python(t, `
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"first")
`+test.program, path).CombinedOutput()
		if test.want != "" && err != nil {
			t.Errorf("%s: %v: %s", test.name, err, out)
		}
		got, err := os.ReadFile(path)
		if string(got) != test.want || (test.want == "") != os.IsNotExist(err) {
			t.Errorf("%s: %q is stored, %v; want %q", test.name, got, err, test.want)
		}
	}
}

// mountInAnotherNamespace returns where the mount is.
func mountInAnotherNamespace(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), sceneVariable+"=mount")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("not mounted: %q, %v", line, err)
	}
	return dir
}
