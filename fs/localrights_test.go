package fs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What is made belongs to whoever makes it; the local parts of the layout's
// directories to the owner, whoever needs them first.
func TestOwnersOfLocalFiles(t *testing.T) {
	s := newSiege(t)
	makeAll := func(dir string) {
		fd, err := unix.Open(dir, unix.O_RDWR|unix.O_TMPFILE, 0o600)
		if err != nil {
			t.Errorf("temporary file: %v", err)
		}
		var st unix.Stat_t
		if unix.Fstat(fd, &st); int(st.Uid) != unix.Geteuid() && st.Uid != intruder {
			t.Errorf("a temporary file belongs to %d", st.Uid)
		}
		unix.Close(fd)
		for what, err := range map[string]error{
			"create":  os.WriteFile(dir+"/file", nil, 0o600),
			"mkdir":   os.Mkdir(dir+"/dir", 0o700),
			"symlink": os.Symlink("x", dir+"/link"),
			"mknod":   unix.Mknod(dir+"/node", unix.S_IFREG|0o600, 0),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if err := os.Mkdir(filepath.Join(s.dir, "roots"), 0o700); err != nil {
		t.Fatal(err)
	}
	makeAll(filepath.Join(s.dir, "roots"))
	makeAll(filepath.Join(s.dir, "ab"))
	s.as(t, intruder, func() {
		mkdirs(t, "mnt/sub")
		makeAll("mnt/sub")
		makeAll("mnt/cd/ef")
	})
	for dir, owner := range map[string]uint32{"roots": 0, "ab": 0, "sub": intruder, "cd/ef": intruder} {
		for _, name := range []string{"file", "dir", "link", "node"} {
			wantOwner(t, filepath.Join(s.local, dir, name), owner)
		}
	}
	for dir, owner := range map[string]uint32{"roots": 0, "ab": intruder, "sub": intruder, "cd": intruder, "cd/ef": intruder} {
		wantOwner(t, filepath.Join(s.local, dir), owner)
	}
	if left, err := filepath.Glob(filepath.Join(s.local, "*", ".*")); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func wantOwner(t *testing.T, path string, owner uint32) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Uid != owner || st.Gid != owner {
		t.Errorf("%s belongs to %d:%d, want %d: %v", path, st.Uid, st.Gid, owner, err)
	}
}

// Devices, FIFOs, sockets and special bits cannot be made, not even by root.
func TestSpecialFilesCannotBeMade(t *testing.T) {
	s := newSiege(t)
	attack := func() {
		for _, dir := range []string{"mnt", "mnt/ab", "mnt/sub"} {
			for name, kind := range map[string]uint32{"FIFO": unix.S_IFIFO, "socket": unix.S_IFSOCK, "device": unix.S_IFCHR, "disk": unix.S_IFBLK} {
				wantErrno(t, name+" in "+dir, unix.Mknod(dir+"/special", kind|0o600, int(unix.Mkdev(1, 3))), syscall.EPERM)
			}
			for _, bit := range []uint32{unix.S_ISUID, unix.S_ISGID, unix.S_ISVTX} {
				_, err := unix.Open(dir+"/special", unix.O_WRONLY|unix.O_CREAT|unix.O_NONBLOCK, 0o700|bit)
				wantErrno(t, fmt.Sprintf("create with %o in %s", bit, dir), err, syscall.EPERM)
				wantErrno(t, fmt.Sprintf("chmod with %o in %s", bit, dir), unix.Chmod(dir+"/own", 0o700|bit), syscall.EPERM)
			}
			wantErrno(t, "sticky directory in "+dir, unix.Mkdir(dir+"/special", 0o1777), syscall.EPERM)
			// A whiteout is a device.
			err := unix.Renameat2(unix.AT_FDCWD, dir+"/own", unix.AT_FDCWD, dir+"/special", unix.RENAME_WHITEOUT)
			wantErrno(t, "whiteout in "+dir, err, syscall.EINVAL)
			if _, err := os.Lstat(dir + "/special"); !os.IsNotExist(err) {
				t.Errorf("something special is in %s: %v", dir, err)
			}
			if err := unix.Chmod(dir+"/own", 0o755); err != nil {
				t.Errorf("chmod in %s: %v", dir, err)
			}
		}
	}
	s.as(t, intruder, func() {
		mkdirs(t, "mnt/sub")
		for _, dir := range []string{"mnt", "mnt/ab", "mnt/sub"} {
			writeFile(t, dir+"/own", "")
		}
		attack()
	})
	s.as(t, 0, attack)
}

// A bit that is set already can stay, and go: a write takes it away, also where the
// kernel writes by itself.
func TestSpecialBitsGo(t *testing.T) {
	s := newSiege(t)
	program := filepath.Join(s.local, "program")
	writeFile(t, program, "")
	if err := unix.Chmod(program, 0o6777); err != nil {
		t.Fatal(err)
	}
	s.as(t, intruder, func() {
		if err := os.WriteFile("mnt/program", []byte("malice"), 0o600); err != nil {
			t.Error(err)
		}
	})
	if info, err := os.Stat(program); err != nil || info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
		t.Errorf("root's program, overwritten, has mode %v, %v", info.Mode(), err)
	}
}

// A file can be given to the owner alone, by root alone.
func TestChownOfLocalFiles(t *testing.T) {
	s := newSiege(t)
	writeFile(t, filepath.Join(s.dir, "roots"), "")
	chowns := func(path string, ids map[[2]int]syscall.Errno) {
		for id, want := range ids {
			if err := unix.Lchown(path, id[0], id[1]); want == 0 && err != nil || want != 0 && err != want {
				t.Errorf("chown of %s to %v: %v, want %v", path, id, err, want)
			}
		}
	}
	s.as(t, intruder, func() {
		writeFile(t, "mnt/own", "")
		chowns("mnt/own", map[[2]int]syscall.Errno{
			{intruder, intruder}: 0, {intruder, -1}: 0, {0, -1}: syscall.EPERM, {-1, 0}: syscall.EPERM, {1000, 1000}: syscall.EPERM,
		})
		chowns("mnt/roots", map[[2]int]syscall.Errno{{intruder, -1}: syscall.EPERM, {-1, intruder}: syscall.EPERM})
	})
	chowns(filepath.Join(s.dir, "own"), map[[2]int]syscall.Errno{
		{0, 0}: syscall.EPERM, {1000, -1}: syscall.EPERM, {-1, 1000}: syscall.EPERM, {intruder, 0}: syscall.EPERM, {intruder, intruder}: 0,
	})
	wantOwner(t, filepath.Join(s.local, "own"), intruder)
	chowns(filepath.Join(s.dir, "roots"), map[[2]int]syscall.Errno{{0, 0}: 0, {1000, 1000}: syscall.EPERM})
	wantOwner(t, filepath.Join(s.local, "roots"), 0)
	chowns(filepath.Join(s.dir, "roots"), map[[2]int]syscall.Errno{{intruder, intruder}: 0})
	wantOwner(t, filepath.Join(s.local, "roots"), intruder)
}

// A file that nobody may read is not shown as one that everybody may.
func TestModeNought(t *testing.T) {
	s := newSiege(t)
	s.keep(t, "kept", false)
	if err := os.Mkdir(filepath.Join(s.local, "keptdir"), 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kept", "keptdir"} {
		if err := os.Chmod(filepath.Join(s.local, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(s.local, "kept"), 0o600) }) // as it was kept
	s.as(t, intruder, func() {
		for _, name := range []string{"mnt/kept", "mnt/keptdir"} {
			if info, err := os.Lstat(name); err != nil || info.Mode().Perm() != 0 {
				t.Errorf("%s is shown with mode %v, %v", name, info.Mode(), err)
			}
			for _, flags := range []int{os.O_RDONLY, os.O_WRONLY} {
				_, err := os.OpenFile(name, flags, 0)
				if !os.IsPermission(err) && flags == os.O_RDONLY {
					t.Errorf("open %s: %v", name, err)
				}
			}
		}
		writeFile(t, "mnt/own", "content")
		if err := os.Chmod("mnt/own", 0); err != nil {
			t.Error(err)
		}
		if _, err := os.Open("mnt/own"); !os.IsPermission(err) {
			t.Errorf("open own: %v", err)
		}
		if err := os.Chmod("mnt/own", 0o400); err != nil {
			t.Error(err)
		}
		wantFile(t, "mnt/own", []byte("content"))
	})
}

// A hard link to a file of root's is refused by the kernel, and one that root has
// made gives no more than the file itself.
func TestHardLinksToRootsFiles(t *testing.T) {
	s := newSiege(t)
	s.keep(t, "kept", false)
	if err := os.Link(filepath.Join(s.outside, "file"), filepath.Join(s.local, "linked")); err != nil {
		t.Fatal(err)
	}
	unchanged(t, s.outside, func() {
		s.as(t, intruder, func() {
			for _, name := range []string{"mnt/kept", "mnt/linked"} {
				wantErrno(t, "link", os.Link(name, "mnt/new"), syscall.EPERM)
				_, err := os.Open(name)
				wantErrno(t, "open", err, syscall.EACCES)
				wantErrno(t, "truncate", os.Truncate(name, 0), syscall.EACCES)
				wantErrno(t, "chmod", os.Chmod(name, 0o666), syscall.EPERM)
			}
		})
	})
}

// A directory that is not the owner's is not the local part of one of the layout,
// whoever has called it so.
func TestRootsDirectoryInPlaceOfALocalPart(t *testing.T) {
	s := newSiege(t)
	mustStore(t, s.path(1), []byte("content"))
	mkdir(t, filepath.Join(s.local, "backup"))
	writeFile(t, filepath.Join(s.local, "backup/file"), "secret")
	unchanged(t, filepath.Join(s.local, "backup/file"), func() {
		s.as(t, intruder, func() {
			if err := os.Rename("local/backup", "local/ab"); err != nil {
				t.Error(err)
			}
			wantErrno(t, "unlink", os.Remove("mnt/ab/file"), syscall.ENOENT)
			wantErrno(t, "create", os.WriteFile("mnt/ab/new", nil, 0o600), syscall.EACCES)
			wantErrno(t, "mkdir", os.Mkdir("mnt/ab/new", 0o600), syscall.EACCES)
			names(t, "mnt/ab", "01")
			if err := os.Rename("local/ab", "local/backup"); err != nil {
				t.Error(err)
			}
		})
	})
	wantFile(t, s.path(1), []byte("content"))
}

// names compares what is listed.
func names(t *testing.T, dir string, want ...string) {
	t.Helper()
	var got []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s holds %v, %v; want %v", dir, got, err, want)
	}
}

// What is mounted below the local directory is out of reach.
func TestMountBelowTheLocalDirectory(t *testing.T) {
	s := newSiege(t)
	for _, dir := range []string{"sub", "ab"} {
		mkdir(t, filepath.Join(s.local, dir))
		if err := os.Lchown(filepath.Join(s.local, dir), intruder, intruder); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(s.outside, filepath.Join(s.local, dir), "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(filepath.Join(s.local, dir), unix.MNT_DETACH) })
	}
	unchanged(t, s.outside, func() {
		_, err := os.Stat(filepath.Join(s.dir, "sub"))
		wantErrno(t, "stat", err, syscall.EXDEV)
		_, err = os.Stat(filepath.Join(s.dir, "sub/file"))
		wantErrno(t, "stat beyond", err, syscall.EXDEV)
		_, err = os.Stat(filepath.Join(s.dir, "ab/file"))
		wantErrno(t, "stat in the layout", err, syscall.ENOENT)
		wantErrno(t, "create in the layout", os.WriteFile(filepath.Join(s.dir, "ab/new"), nil, 0o600), syscall.EXDEV)
	})
	names(t, s.dir, "ab", "sub")
}

// ioctls do not reach the disk, where they would be root's.
func TestNoIoctl(t *testing.T) {
	s := newSiege(t)
	s.as(t, intruder, func() {
		mkdirs(t, "mnt/sub")
		writeFile(t, "mnt/own", "")
		for _, name := range []string{"mnt", "mnt/sub", "mnt/own", "mnt/ab"} {
			f, err := os.Open(name)
			if err != nil {
				t.Error(err)
				continue
			}
			for _, request := range []uint{unix.FS_IOC_GETFLAGS, 0x80047601 /* FS_IOC_GETVERSION */} {
				_, err = unix.IoctlGetInt(int(f.Fd()), request)
				wantErrno(t, fmt.Sprintf("ioctl %x of %s", request, name), err, syscall.ENOTTY)
			}
			f.Close()
		}
	})
}

// Nothing that somebody does with a file behind the mount makes an open wait.
func TestOpenWaitsForNobody(t *testing.T) {
	s := newSiege(t)
	s.as(t, intruder, func() {
		writeFile(t, "mnt/own", "")
		held, err := os.Open("local/own")
		if err != nil {
			t.Error(err)
			return
		}
		defer held.Close()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			_, err := unix.FcntlInt(held.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
			if err == nil {
				break
			}
			if err != unix.EAGAIN || time.Now().After(deadline) { // not yet released by the mount
				t.Errorf("lease: %v", err)
				break
			}
		}
		begin := time.Now()
		_, err = os.OpenFile("mnt/own", os.O_WRONLY, 0)
		wantErrno(t, "open of a leased file", err, syscall.EAGAIN)
		if time.Since(begin) > 20*time.Second {
			t.Error("it waited for the lease, which takes 45 s to break")
		}
	})
	s.as(t, intruder, func() {
		writeFile(t, "mnt/own2", "")
		if err := unix.Mkfifo("local/fifo", 0o600); err != nil {
			t.Error(err)
		}
	})
	s.while(t, "local/own2", "local/fifo", func(int) { // would hang
		if f, err := os.OpenFile("mnt/own2", os.O_RDONLY|unix.O_NONBLOCK, 0); err == nil {
			f.Close()
		}
	})
}

// Names that are unusual are names.
func TestOddNames(t *testing.T) {
	s := newSiege(t)
	s.as(t, intruder, func() {
		var made []string
		for _, name := range []string{
			strings.Repeat("n", 255), "line\nfeed", "\xff\xfe", "\x1b[31m", "-rf", "...", " ", "a\\b", "AB", "ab ", "абв", "%s%n",
		} {
			path := "mnt/" + name
			writeFile(t, path, name)
			wantFile(t, "local/"+name, []byte(name))
			if err := os.Rename(path, path+"2"); err != nil && len(name) < 255 {
				t.Errorf("rename of %q: %v", name, err)
			} else if err == nil {
				name += "2"
			}
			made = append(made, name)
		}
		slices.Sort(made)
		names(t, "mnt", made...)
		wantErrno(t, "256 bytes", os.WriteFile("mnt/"+strings.Repeat("n", 256), nil, 0o600), syscall.ENAMETOOLONG)
		_, err := os.Stat("mnt/../mnt/../outside/file")
		wantErrno(t, "stat beyond ..", err, syscall.EACCES)
		deep := "mnt"
		for range 15 {
			deep += "/" + strings.Repeat("d", 250)
			if err := os.Mkdir(deep, 0o700); err != nil {
				t.Errorf("mkdir, %d bytes deep: %v", len(deep), err)
			}
		}
		writeFile(t, deep+"/file", "deep")
		wantFile(t, deep+"/file", []byte("deep"))
	})
}

// What is read by its number among a process's descriptors is the same file, with
// the same rights.
func TestDescriptorsOfLocalFiles(t *testing.T) {
	s := newSiege(t)
	s.as(t, intruder, func() {
		writeFile(t, "mnt/own", "content")
		if err := os.Chmod("mnt/own", 0o400); err != nil {
			t.Error(err)
		}
		f, err := os.Open("mnt/own")
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		name := fmt.Sprintf("/proc/self/task/%d/fd/%d", unix.Gettid(), f.Fd())
		if _, err := os.OpenFile(name, os.O_WRONLY, 0); !os.IsPermission(err) {
			t.Errorf("open for writing: %v", err)
		}
	})
}

// copy_file_range is the kernel's own.
func TestCopyOfLocalFiles(t *testing.T) {
	r := newRig(t)
	content := testContent(300_000, 1)
	if err := os.WriteFile(filepath.Join(r.dir, "from"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(filepath.Join(r.dir, "from"))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(r.dir, "to"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	for copied := 0; copied < len(content); {
		n, err := unix.CopyFileRange(int(from.Fd()), nil, int(to.Fd()), nil, len(content)-copied, 0)
		if err != nil || n == 0 {
			t.Fatalf("copied %d, then %d, %v", copied, n, err)
		}
		copied += n
	}
	wantFile(t, filepath.Join(r.local, "to"), content)
}

// Nobody takes the descriptors that the bucket needs, and none is lost.
func TestDescriptorsAreBounded(t *testing.T) {
	const most = 4096 // as package local says
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 3*most {
		t.Skipf("needs 3 * %d open files, not %d: %v", most, limit.Cur, err)
	}
	r := newRig(t)
	mustStore(t, r.path(1), []byte("content"))
	if err := os.WriteFile(filepath.Join(r.dir, "index"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	var held []int
	for range most + 10 {
		fd, err := unix.Open(filepath.Join(r.dir, "index"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			wantErrno(t, "open of one too many", err, syscall.ENFILE)
			break
		}
		held = append(held, fd)
	}
	if len(held) != most {
		t.Errorf("%d files could be open, want %d", len(held), most)
	}
	_, err := os.ReadDir(r.dir)
	wantErrno(t, "readdir", err, syscall.ENFILE)
	_, err = os.Create(filepath.Join(r.dir, "new"))
	wantErrno(t, "create", err, syscall.ENFILE)
	mustStore(t, r.path(2), []byte("content"))
	wantFile(t, r.path(1), []byte("content"))
	for _, fd := range held {
		unix.Close(fd)
	}
	wantDescriptors(t, before)
	if _, err := os.ReadDir(r.dir); err != nil {
		t.Error(err)
	}
}

// No call loses a descriptor, neither when it succeeds nor when it fails.
func TestDescriptorsAreNotLost(t *testing.T) {
	s := newSiege(t)
	s.as(t, intruder, func() { mkdirs(t, "mnt/sub/dir"); mkdirs(t, "mnt/cd/ef") })
	before := descriptors(t)
	for range 3 {
		s.as(t, intruder, func() {
			for _, dir := range []string{"mnt", "mnt/sub", "mnt/cd/ef"} {
				for _, name := range []string{"file", "other", "own"} {
					writeFile(t, filepath.Join(dir, name), "")
				}
				writeFile(t, "mnt/own", "")
				fd := openDir(t, dir)
				attempts(fd)
				unix.Fsync(fd)
				unix.ReadDirent(fd, make([]byte, 4096))
				unix.Close(fd)
			}
			fd := openDir(t, "mnt/sub") // which another one is called after a moment
			if err := errors.Join(os.Rename("local/sub", "local/moved"), os.Mkdir("local/sub", 0o700)); err != nil {
				t.Error(err)
			}
			attempts(fd)
			unix.Close(fd)
			os.RemoveAll("local/moved")
		})
	}
	wantDescriptors(t, before)
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// wantDescriptors waits for the releases, which close does not wait for.
func wantDescriptors(t *testing.T, want int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); descriptors(t) > want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%d descriptors, %d before", descriptors(t), want)
			return
		}
	}
}

// A listing goes on where it was, also among local files, of which there are more
// than one answer takes.
func TestSeekInALocalListing(t *testing.T) {
	r := newRig(t)
	mustStore(t, r.path(0x101), nil)
	const files = 2000
	for i := range files {
		if err := os.WriteFile(filepath.Join(r.local, fmt.Sprintf("file%04d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := os.Open(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	buf := make([]byte, 1000)
	var first [][]byte
	var places []int64
	for {
		place, err := unix.Seek(int(d.Fd()), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		n, err := unix.ReadDirent(int(d.Fd()), buf)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		first, places = append(first, bytes.Clone(buf[:n])), append(places, place)
	}
	if len(places) < 50 {
		t.Fatalf("read in %d pieces", len(places))
	}
	for _, i := range []int{len(places) - 1, 0, 30, 3, 29} {
		if _, err := unix.Seek(int(d.Fd()), places[i], 0); err != nil {
			t.Fatal(err)
		}
		n, err := unix.ReadDirent(int(d.Fd()), buf)
		if _, _, got := unix.ParseDirent(buf[:n], -1, nil); err != nil || !slices.Equal(got, parsed(first[i])) {
			t.Errorf("piece %d holds %v, %v; before %v", i, got, err, parsed(first[i]))
		}
	}
	if entries, err := os.ReadDir(r.dir); err != nil || len(entries) != files+1 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func parsed(dirents []byte) []string {
	_, _, names := unix.ParseDirent(dirents, -1, nil)
	return names
}
