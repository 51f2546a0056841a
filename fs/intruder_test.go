package fs

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// intruder is the user that Orthanc runs as, to whom the tree and the local
// directory belong.
const intruder = 65534

// siege is a mount that the intruder may use, and next to it what is not for
// everybody's hands. It is the working directory of those who act.
type siege struct {
	*rig
	base    string // holds mnt, local and outside
	outside string // root's directory
}

func newSiege(t testing.TB, changes ...func(*setting)) *siege {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	r := newRig(t, append(changes, func(s *setting) { s.uid, s.gid = intruder, intruder })...)
	s := &siege{rig: r, base: filepath.Dir(r.dir), outside: filepath.Join(filepath.Dir(r.dir), "outside")}
	mkdir(t, s.outside)
	mkdir(t, filepath.Join(s.outside, "dir"))
	mkdir(t, filepath.Join(s.outside, "empty"))
	for _, name := range []string{"file", "other", "dir/file"} {
		writeFile(t, filepath.Join(s.outside, name), "secret")
	}
	return s
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// as runs do as a user without any rights of root's, in a thread of its own,
// with the siege's directory as the working directory.
func (s *siege) as(t testing.TB, uid int, do func()) {
	t.Helper()
	var err error
	inThread(func() {
		if err = becomeThread(uid, s.base); err == nil {
			do()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
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

// becomeThread changes the user and the working directory of one thread.
func becomeThread(uid int, dir string) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Chdir(dir); err != nil {
		return err
	}
	id := uintptr(uid)
	for _, call := range [][4]uintptr{{unix.SYS_SETGROUPS}, {unix.SYS_SETRESGID, id, id, id}, {unix.SYS_SETRESUID, id, id, id}} {
		if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			return fmt.Errorf("becoming user %d: %w", uid, errno)
		}
	}
	return nil
}

// describe tells all that can be told of what is in a directory.
func describe(t testing.TB, dir string) string {
	t.Helper()
	var lines strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		content := ""
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = string(b)
		}
		_, err = fmt.Fprintf(&lines, "%s %v %d:%d links %d at %d: %q\n", path, info.Mode(), st.Uid, st.Gid, st.Nlink, st.Mtim.Nano(), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines.String()
}

// unchanged runs do, and proves that nothing has changed in a directory.
func unchanged(t testing.TB, dir string, do func()) {
	t.Helper()
	before := describe(t, dir)
	do()
	if after := describe(t, dir); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
}

// attempts are all the ways to reach into a directory that is open in the mount.
func attempts(dir int) map[string]error {
	read := func() error {
		fd, err := unix.Openat(dir, "file", unix.O_RDONLY, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	create := func(name string, flags int) error {
		fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|flags, 0o666)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	truncate := func() error {
		fd, err := unix.Openat(dir, "file", unix.O_WRONLY|unix.O_TRUNC, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	var st unix.Stat_t
	return map[string]error{
		"create":             create("new", 0),
		"create exclusively": create("new2", unix.O_EXCL),
		"open or create":     create("file", 0),
		"temporary file":     create(".", unix.O_TMPFILE),
		"read":               read(),
		"truncate":           truncate(),
		"unlink":             unix.Unlinkat(dir, "other", 0),
		"mkdir":              unix.Mkdirat(dir, "newdir", 0o777),
		"rmdir":              unix.Unlinkat(dir, "empty", unix.AT_REMOVEDIR),
		"rename":             unix.Renameat(dir, "file", dir, "renamed"),
		"rename out":         unix.Renameat(dir, "file", unix.AT_FDCWD, "mnt/taken"),
		"rename in":          unix.Renameat(unix.AT_FDCWD, "mnt/own", dir, "own"),
		"exchange":           unix.Renameat2(dir, "file", unix.AT_FDCWD, "mnt/own", unix.RENAME_EXCHANGE),
		"link out":           unix.Linkat(dir, "file", unix.AT_FDCWD, "mnt/linked", 0),
		"link in":            unix.Linkat(unix.AT_FDCWD, "mnt/own", dir, "linked", 0),
		"symlink":            unix.Symlinkat("/etc/passwd", dir, "symlink"),
		"mknod":              unix.Mknodat(dir, "node", unix.S_IFREG|0o600, 0),
		"chmod":              unix.Fchmodat(dir, "file", 0o777, 0),
		"chown":              unix.Fchownat(dir, "file", intruder, intruder, 0),
		"utimes":             unix.UtimesNanoAt(dir, "file", []unix.Timespec{{}, {}}, 0),
		"stat":               unix.Fstatat(dir, "file", &st, unix.AT_SYMLINK_NOFOLLOW),
		"into a directory":   create("dir/new", 0),
		"from a directory":   unix.Unlinkat(dir, "dir/file", 0),
	}
}

// openDir opens a directory of the mount.
func openDir(t testing.TB, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Errorf("open %s: %v", path, err)
	}
	return fd
}

// Symbolic links in the local directory lead nowhere, wherever they are on the
// way to what is open in the mount.
func TestLinksInTheLocalDirectory(t *testing.T) {
	for _, test := range []struct{ dir, link string }{
		{"ab", "ab"}, {"cd/ef", "cd/ef"}, {"cd/ef", "cd"}, {"sub", "sub"}, {"sub/deep", "sub/deep"}, {"sub/deep", "sub"}, {"cd/ef/sub", "cd"},
	} {
		for _, target := range []string{"outside", "/proc/self/root", "/proc/self/cwd"} {
			t.Run(strings.ReplaceAll(fmt.Sprint(test, target), "/", "_"), func(t *testing.T) { testLink(t, test.dir, test.link, target) })
		}
	}
}

func testLink(t *testing.T, dir, link, target string) {
	s := newSiege(t)
	rest, _ := filepath.Rel(link, dir)
	switch target {
	case "outside":
		target = s.outside
	case "/proc/self/root":
		target = filepath.Join(target, s.outside)
	}
	if rest != "." { // everybody's, but in root's
		mkdirs(t, filepath.Join(s.outside, rest))
		if err := os.Chmod(filepath.Join(s.outside, rest), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	unchanged(t, s.outside, func() {
		s.as(t, intruder, func() {
			writeFile(t, "mnt/own", "own")
			mkdirs(t, filepath.Join("local", dir))
			fd := openDir(t, filepath.Join("mnt", dir))
			defer unix.Close(fd)
			if err := os.Rename(filepath.Join("local", link), "local/moved"); err != nil {
				t.Error(err)
			}
			if err := os.Symlink(target, filepath.Join("local", link)); err != nil {
				t.Error(err)
			}
			for what, err := range attempts(fd) {
				if err == nil {
					t.Errorf("%s succeeded", what)
				}
			}
		})
	})
}

func mkdirs(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Error(err)
	}
}

// rounds is how often each of those who race does what it does.
const rounds = 200

// while runs do as the intruder while two names in the local directory are
// exchanged.
func (s *siege) while(t *testing.T, a, b string, do ...func(i int)) {
	t.Helper()
	s.alongside(t, func() { unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) }, do...)
}

// alongside runs do as the intruder, who does something else all the time.
func (s *siege) alongside(t *testing.T, other func(), do ...func(i int)) {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		s.as(t, intruder, func() { repeat(other, stop) })
	}()
	var group sync.WaitGroup
	for _, each := range do {
		group.Go(func() {
			s.as(t, intruder, func() {
				for i := range rounds {
					each(i)
				}
			})
		})
	}
	group.Wait()
	close(stop)
	<-stopped
}

func repeat(do func(), stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			do()
		}
	}
}

// Nothing outside changes while a directory and a symbolic link are swapped.
func TestSwaps(t *testing.T) {
	for _, dir := range []string{"sub", "ab", "cd/ef"} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			s := newSiege(t)
			s.as(t, intruder, func() {
				mkdirs(t, filepath.Join("local", dir))
				if err := os.Symlink(s.outside, "local/link"); err != nil {
					t.Error(err)
				}
			})
			unchanged(t, s.outside, func() { s.raceIn(t, dir) })
		})
	}
}

func (s *siege) raceIn(t *testing.T, dir string) {
	held := -1
	s.as(t, intruder, func() { held = openDir(t, filepath.Join("mnt", dir)) })
	defer unix.Close(held)
	s.while(t, filepath.Join("local", dir), "local/link",
		func(i int) {
			if fd, err := unix.Openat(held, fmt.Sprint("created", i), unix.O_RDWR|unix.O_CREAT, 0o600); err == nil {
				unix.Close(fd)
			}
		},
		func(i int) {
			unix.Mkdirat(held, fmt.Sprint("dir", i), 0o700)
			unix.Unlinkat(held, "other", 0)
			unix.Unlinkat(held, "empty", unix.AT_REMOVEDIR)
		},
		func(i int) {
			os.WriteFile("mnt/own", nil, 0o600)
			unix.Renameat(unix.AT_FDCWD, "mnt/own", held, fmt.Sprint("moved", i))
			unix.Fchmodat(held, "file", 0o666, 0)
			if fd, err := unix.Openat(held, "file", unix.O_RDWR, 0); err == nil {
				if text, _ := io.ReadAll(os.NewFile(uintptr(fd), "")); string(text) == "secret" {
					t.Error("read the secret")
				}
			}
		})
}

// keep makes a file or a directory of root's in the local directory, where the
// intruder may call it by any name, and proves at the end that it is as it was.
func (s *siege) keep(t *testing.T, name string, dir bool) {
	t.Helper()
	path := filepath.Join(s.local, name)
	if dir {
		mkdir(t, path)
	} else {
		writeFile(t, path, "secret")
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	before := stillThere(t, f)
	t.Cleanup(func() {
		if after := stillThere(t, f); after != before {
			t.Errorf("what root kept was %s, and is %s", before, after)
		}
		f.Close()
	})
}

func stillThere(t *testing.T, f *os.File) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Error(err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		st.Mtim = unix.Timespec{} // it may have been that in which another one was made
	}
	return fmt.Sprintf("mode %o of %d:%d, %d bytes, at %d", st.Mode, st.Uid, st.Gid, st.Size, st.Mtim.Nano())
}

// What root keeps in the local directory for itself stays so, although the
// intruder may exchange it for a file of its own at any moment.
func TestRootsFilesInTheLocalDirectory(t *testing.T) {
	s := newSiege(t)
	s.keep(t, "kept", false)
	s.as(t, intruder, func() { writeFile(t, "mnt/own", "own") })
	s.while(t, "local/own", "local/kept", func(int) {
		for _, flags := range []int{os.O_RDWR, os.O_RDWR | os.O_CREATE} {
			f, err := os.OpenFile("mnt/own", flags, 0o600)
			if err != nil {
				continue
			}
			if text, _ := io.ReadAll(f); string(text) == "secret" {
				t.Error("read the secret")
			}
			f.Close()
		}
	}, func(int) {
		os.Chmod("mnt/own", 0o666)
		os.Truncate("mnt/own", 3)
	})
}

// Nor is a file or directory of root's given to the caller that is exchanged for a
// new one in the moment in which that is made.
func TestNothingOfRootsIsGivenAway(t *testing.T) {
	for name, makes := range map[string]func(path string) error{
		"file": func(path string) error {
			fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT, 0o600)
			unix.Close(fd)
			return err
		},
		"node": func(path string) error { return unix.Mknod(path, unix.S_IFREG|0o600, 0) },
		"link": func(path string) error { return os.Symlink("x", path) },
		"dir":  func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSiege(t)
			made := 0
			for i := range rounds {
				if s.exchangeNew(t, i, name == "dir", makes) {
					made++
				}
			}
			if made == 0 {
				t.Error("nothing was ever made: the test proves nothing")
			}
		})
	}
}

// exchangeNew reports that something was made while somebody tried to exchange it
// for what root keeps.
func (s *siege) exchangeNew(t *testing.T, i int, dir bool, makes func(path string) error) (made bool) {
	kept, fresh := fmt.Sprint("kept", i), fmt.Sprint("new", i)
	s.keep(t, kept, dir)
	ready, stop := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		s.as(t, intruder, func() {
			close(ready)
			for unix.Renameat2(unix.AT_FDCWD, "local/"+kept, unix.AT_FDCWD, "local/"+fresh, unix.RENAME_EXCHANGE) != nil {
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	})
	<-ready
	s.as(t, intruder, func() { made = makes("mnt/"+fresh) == nil })
	close(stop)
	group.Wait()
	return made
}

// A file of root's that comes to be called as a new one, after the kernel has seen
// that there is none, is not opened in its place.
func TestCreateMeetsRootsFile(t *testing.T) {
	s := newSiege(t)
	s.keep(t, "kept", false)
	s.alongside(t, func() {
		unix.Renameat2(unix.AT_FDCWD, "local/kept", unix.AT_FDCWD, "local/new", unix.RENAME_NOREPLACE)
		unix.Renameat2(unix.AT_FDCWD, "local/new", unix.AT_FDCWD, "local/kept", unix.RENAME_NOREPLACE)
	}, func(int) {
		for !openOrCreate(t, "mnt/new") {
		}
		os.Rename("local/new", "local/made") // it is there until then: neither can take its name
	})
}

// openOrCreate reports whether it has opened a file, which must not be root's.
func openOrCreate(t *testing.T, path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false
	}
	defer f.Close()
	if text, _ := io.ReadAll(f); string(text) == "secret" {
		t.Error("read the secret")
	}
	return true
}
