package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// What is served as root, and all that Orthanc's user tries, is tested in package
// fs. Here, somebody without any rights serves a directory of their own, as that
// of somebody else.
const (
	daemon = 65533
	owner  = 65534

	servesVariable = "ORTHANC_BUCKETFS_TEST_SERVES"
)

func TestMain(m *testing.M) {
	if os.Getenv(servesVariable) != "" {
		serve()
		return
	}
	os.Exit(m.Run())
}

// root is the smallest tree that has local files.
type root struct {
	gofs.Inode
	tree *Tree
}

var _ = (gofs.NodeLookuper)((*root)(nil))

func (r *root) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	d, errno := r.tree.Open(r.EmbeddedInode())
	if errno != 0 {
		return nil, errno
	}
	defer d.Close()
	return d.Lookup(ctx, name, out)
}

var _ = (gofs.NodeGetattrer)((*root)(nil))

func (r *root) Getattr(_ context.Context, _ gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode = 0o755
	return 0
}

// serve serves descriptor 4 on the connection that descriptor 3 is.
func serve() {
	tree, err := New(Options{Dir: os.NewFile(4, "local"), Owner: fuse.Owner{Uid: owner, Gid: owner}})
	if err != nil {
		panic(err)
	}
	server, err := fuse.NewServer(gofs.NewNodeFS(&root{tree: tree}, &gofs.Options{NullPermissions: true}), "/dev/fd/3",
		&fuse.MountOptions{DisableXAttrs: true})
	if err != nil {
		panic(err)
	}
	server.Serve()
}

// mount returns the directory that holds the mount, mnt, and the directory that
// is served, local, in which there is sub.
func mount(t *testing.T) (base string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	base = t.TempDir()
	for _, dir := range []string{"mnt", "local", "local/sub"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(filepath.Join(base, dir), daemon, daemon); err != nil {
			t.Fatal(err)
		}
	}
	connection, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	local, err := os.Open(filepath.Join(base, "local"))
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other,default_permissions", connection.Fd(), daemon, daemon)
	if err := unix.Mount("local", filepath.Join(base, "mnt"), "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env, cmd.Stderr = append(os.Environ(), servesVariable+"=1"), os.Stderr
	cmd.ExtraFiles = []*os.File{connection, local}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: daemon, Gid: daemon}}
	err = cmd.Start()
	t.Cleanup(func() {
		unix.Unmount(filepath.Join(base, "mnt"), unix.MNT_DETACH)
		cmd.Wait()
	})
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// as runs do as a user in a directory, in a thread of its own.
func as(t *testing.T, uid int, dir string, do func()) {
	t.Helper()
	id := uintptr(uid)
	inThread(func() {
		if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Chdir(dir)); err != nil {
			t.Error(err)
			return
		}
		for _, call := range [][4]uintptr{{unix.SYS_SETGROUPS}, {unix.SYS_SETRESGID, id, id, id}, {unix.SYS_SETRESUID, id, id, id}} {
			if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				t.Error(errno)
				return
			}
		}
		do()
	})
}

// inThread runs do in a thread that ends with it, and is not the first one: /proc
// would take the whole process for that user's.
func inThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			inThread(do)
			runtime.UnlockOSThread()
			return
		}
		do()
	}()
	<-done
}

// The daemon's files are the owner's, without a single chown.
func TestServedWithoutRights(t *testing.T) {
	base := mount(t)
	as(t, owner, base, func() {
		succeed(t, map[string]func() error{
			"1 create":   func() error { return os.WriteFile("mnt/sub/file", []byte("content"), 0o640) },
			"2 append":   func() error { return appendTo("mnt/sub/file") },
			"3 mkdir":    func() error { return os.Mkdir("mnt/sub/dir", 0o700) },
			"3 symlink":  func() error { return os.Symlink("file", "mnt/sub/link") },
			"3 mknod":    func() error { return unix.Mknod("mnt/sub/node", unix.S_IFREG|0o600, 0) },
			"3 link":     func() error { return os.Link("mnt/sub/file", "mnt/sub/hard") },
			"4 rename":   func() error { return os.Rename("mnt/sub/hard", "mnt/sub/dir/moved") },
			"5 chmod":    func() error { return os.Chmod("mnt/sub/file", 0) },
			"6 chmod":    func() error { return os.Chmod("mnt/sub/file", 0o600) },
			"7 truncate": func() error { return os.Truncate("mnt/sub/file", 3) },
			"7 utimes":   func() error { return os.Chtimes("mnt/sub/file", time.Unix(1, 0), time.Unix(2, 0)) },
			"8 chown":    func() error { return os.Lchown("mnt/sub/file", owner, owner) },
			"9 rmdir":    func() error { return os.Remove("mnt/sub/node") },
		})
		for _, name := range []string{"file", "dir", "link", "dir/moved"} {
			wantOwner(t, "mnt/sub/"+name, owner)
		}
	})
	for _, name := range []string{"file", "dir", "link", "dir/moved"} {
		wantOwner(t, filepath.Join(base, "local/sub", name), daemon)
	}
	for _, id := range []int{0, owner, daemon, 1000} {
		err := os.Lchown(filepath.Join(base, "mnt/sub/dir"), id, -1)
		if id == owner && err != nil || id != owner && !os.IsPermission(err) {
			t.Errorf("chown to %d: %v", id, err)
		}
	}
}

func succeed(t *testing.T, calls map[string]func() error) {
	t.Helper()
	for step := '1'; step <= '9'; step++ {
		for what, call := range calls {
			if rune(what[0]) != step {
				continue
			}
			if err := call(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func appendTo(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(" and more")
	return err
}

func wantOwner(t *testing.T, path string, uid uint32) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Uid != uid || st.Gid != uid {
		t.Errorf("%s belongs to %d:%d, want %d: %v", path, st.Uid, st.Gid, uid, err)
	}
}

// The daemon has no rights on what is not its own.
func TestWithoutRightsOnOthersFiles(t *testing.T) {
	base := mount(t)
	roots := filepath.Join(base, "local/sub/roots")
	if err := os.WriteFile(roots, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, uid := range []int{owner, 0} {
		as(t, uid, base, func() {
			if _, err := os.ReadFile("mnt/sub/roots"); !os.IsPermission(err) {
				t.Errorf("read by %d: %v", uid, err)
			}
			if err := os.Lchown("mnt/sub/roots", owner, owner); !os.IsPermission(err) {
				t.Errorf("chown by %d: %v", uid, err)
			}
		})
	}
	wantOwner(t, roots, 0)
}

// After one ENOSYS the kernel would not send such a request again.
func TestENOSYSIsNeverAnswered(t *testing.T) {
	for err, want := range map[error]syscall.Errno{
		nil: 0, unix.ENOSYS: syscall.EOPNOTSUPP, unix.ENOENT: syscall.ENOENT, os.ErrClosed: syscall.EIO,
	} {
		if got := toErrno(err); got != want {
			t.Errorf("%v is answered with %v, want %v", err, got, want)
		}
	}
}

// Nothing leads out of a directory, whatever stands for the node.
func TestBeneath(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"in", "in/sub", "out"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"absolute": filepath.Join(base, "out"), "relative": "../out", "inside": "sub", "magic": "/proc/self/root",
	} {
		if err := os.Symlink(target, filepath.Join(base, "in", link)); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.Open(filepath.Join(base, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for path, want := range map[string]syscall.Errno{
		"sub": 0, "absolute": 0, "relative": 0, // the links themselves
		"absolute/.": syscall.ELOOP, "relative/.": syscall.ELOOP, "inside/.": syscall.ELOOP, "magic/proc": syscall.ELOOP,
		"..": syscall.EXDEV, "sub/../../out": syscall.EXDEV, "/": syscall.EXDEV, base: syscall.EXDEV, "none": syscall.ENOENT,
	} {
		fd, errno := openat2(int(dir.Fd()), path, unix.O_PATH, 0)
		if errno != want {
			t.Errorf("%s: %v, want %v", path, errno, want)
		}
		if errno == 0 {
			unix.Close(fd)
		}
	}
}
