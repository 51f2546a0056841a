package fs

import (
	"bytes"
	"context"
	"errors"
	iofs "io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends/backendtest"
)

func TestLayoutDirectoriesAlwaysExist(t *testing.T) {
	r := newRig(t)
	for _, dir := range []string{"00", "ff", "ab", "00/00", "ab/cd", "ff/ff"} {
		info, err := os.Stat(filepath.Join(r.dir, dir))
		if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
		wantErrno(t, "mkdir "+dir, os.Mkdir(filepath.Join(r.dir, dir), 0o755), syscall.EEXIST)
		wantErrno(t, "rmdir "+dir, syscall.Rmdir(filepath.Join(r.dir, dir)), syscall.ENOTEMPTY)
	}
	for _, none := range []string{"AB", "g0", "0", "000", "ab/CD", "ab/cd/ef"} {
		_, err := os.Stat(filepath.Join(r.dir, none))
		wantErrno(t, "stat "+none, err, syscall.ENOENT)
	}
	wantCalls(t, "directories", r, 0)
}

// What Orthanc does to store, read and delete a file, with the requests that
// it costs.
func TestAsOrthancDoes(t *testing.T) { inBothModes(t, testAsOrthancDoes) }

func testAsOrthancDoes(t *testing.T, mode mode) {
	for _, sync := range []bool{true, false} {
		for _, size := range []int{0, 1, 4095, 4096, 4097, 8191, 200_000, 3 << 20} {
			r := newRig(t, mode)
			content := testContent(size, 1)
			_, err := os.Stat(r.path(1))
			wantErrno(t, "stat before", err, syscall.ENOENT)
			r.faulty.Reset()
			if err := storeAs(r.path(1), content, sync); err != nil {
				t.Fatal(err)
			}
			wantCalls(t, "store", r, 1, backendtest.OpCreate)
			wantCalls(t, "store", r, 1, backendtest.OpStat) // the kernel's look before the create
			wantCalls(t, "store", r, 2)

			r.faulty.Reset()
			info, err := os.Stat(r.path(1))
			if err != nil || info.Size() != int64(size) || time.Since(info.ModTime()) > time.Minute {
				t.Errorf("stat after: %v, %v", info, err)
			}
			fd, err := syscall.Open(r.path(1), syscall.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, whence := range []int{2, 1, 0} {
				end, err := syscall.Seek(fd, 0, whence)
				if want := int64(size); err != nil || whence != 0 && end != want {
					t.Errorf("seek %d: %d, %v", whence, end, err)
				}
			}
			got := make([]byte, size+1)
			n, err := syscall.Read(fd, got)
			if err != nil || !bytes.Equal(got[:n], content) {
				t.Errorf("read %d of %d bytes, %v", n, size, err)
			}
			syscall.Close(fd)
			wantCalls(t, "read", r, 1, backendtest.OpRead)
			wantCalls(t, "stat and read after the store", r, 1)

			r.faulty.Reset()
			if err := syscall.Unlink(r.path(1)); err != nil {
				t.Error(err)
			}
			wantErrno(t, "rmdir", syscall.Rmdir(filepath.Dir(r.path(1))), syscall.ENOTEMPTY)
			wantCalls(t, "delete", r, 1)
			_, err = os.Stat(r.path(1))
			wantErrno(t, "stat at the end", err, syscall.ENOENT)
		}
	}
}

// What is committed cannot be changed, by any call, at the cost of no request.
func TestAttachmentsAreWriteOnce(t *testing.T) {
	r := newRig(t)
	content := testContent(10000, 1)
	mustStore(t, r.path(1), content)
	if err := os.WriteFile(filepath.Join(r.dir, "local"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(r.path(1)); err != nil {
		t.Fatal(err)
	}
	r.faulty.Reset()
	for _, flags := range []int{syscall.O_WRONLY, syscall.O_RDWR, syscall.O_WRONLY | syscall.O_APPEND,
		syscall.O_WRONLY | syscall.O_TRUNC, syscall.O_WRONLY | syscall.O_CREAT | syscall.O_TRUNC} {
		_, err := syscall.Open(r.path(1), flags, 0o600)
		wantErrno(t, "open for writing", err, syscall.EPERM)
	}
	_, err := syscall.Open(r.path(1), syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL, 0o600)
	wantErrno(t, "open exclusively", err, syscall.EEXIST)
	wantErrno(t, "truncate", syscall.Truncate(r.path(1), 0), syscall.EPERM)
	wantErrno(t, "chmod", syscall.Chmod(r.path(1), 0o644), syscall.EPERM)
	wantErrno(t, "chown", syscall.Chown(r.path(1), os.Getuid()+1, -1), syscall.EPERM)
	local := filepath.Join(r.dir, "local")
	wantErrno(t, "rename across", syscall.Rename(r.path(1), filepath.Join(r.dir, "x")), syscall.EXDEV)
	wantErrno(t, "link across", syscall.Link(r.path(1), filepath.Join(r.dir, "x")), syscall.EXDEV)
	wantErrno(t, "rename of a directory", syscall.Rename(filepath.Join(r.dir, "ab"), filepath.Join(r.dir, "ac")), syscall.EPERM)
	wantCalls(t, "refusals", r, 0)

	wantErrno(t, "rename", syscall.Rename(r.path(1), r.path(2)), syscall.EPERM)
	wantErrno(t, "link", syscall.Link(r.path(1), r.path(2)), syscall.EPERM)
	wantErrno(t, "rename from local", syscall.Rename(local, r.path(2)), syscall.EXDEV)
	wantErrno(t, "link from local", syscall.Link(local, r.path(2)), syscall.EXDEV)
	wantErrno(t, "symlink", syscall.Symlink("x", r.path(2)), syscall.EPERM)
	wantErrno(t, "mknod", syscall.Mknod(r.path(2), syscall.S_IFREG|0o600, 0), syscall.EPERM)
	_, err = syscall.Open(r.path(2), syscall.O_RDWR|syscall.O_CREAT, 0o600)
	wantErrno(t, "create for reading and writing", err, syscall.EPERM)
	// The kernel opens first and truncates then, so this one fetches the file.
	_, err = syscall.Open(r.path(1), syscall.O_RDONLY|syscall.O_TRUNC, 0)
	wantErrno(t, "open for truncating", err, syscall.EPERM)
	wantFile(t, r.path(1), content)
}

func TestChangesWithoutEffect(t *testing.T) {
	r := newRig(t)
	mustStore(t, r.path(1), []byte("content"))
	before, err := os.Stat(r.path(1))
	if err != nil {
		t.Fatal(err)
	}
	r.faulty.Reset()
	for what, err := range map[string]error{
		"chmod":    syscall.Chmod(r.path(1), 0o600),
		"chown":    syscall.Chown(r.path(1), os.Getuid(), os.Getgid()),
		"utimes":   os.Chtimes(r.path(1), time.Unix(1, 0), time.Unix(2, 0)),
		"truncate": syscall.Truncate(r.path(1), before.Size()),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantCalls(t, "changes", r, 0)
	after, err := os.Stat(r.path(1))
	if err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the time changed from %v to %v (%v)", before.ModTime(), after, err)
	}
}

func TestStatfsIsLocalAndConstant(t *testing.T) {
	r := newRig(t)
	var before, after unix.Statfs_t
	if err := unix.Statfs(r.dir, &before); err != nil {
		t.Fatal(err)
	}
	mustStore(t, r.path(1), testContent(1<<20, 1))
	r.faulty.Reset()
	if err := unix.Statfs(r.dir, &after); err != nil {
		t.Fatal(err)
	}
	if before.Bavail != after.Bavail || uint64(before.Bsize)*before.Bavail < 1<<50 || before.Ffree == 0 {
		t.Errorf("free space %d, then %d blocks of %d", before.Bavail, after.Bavail, before.Bsize)
	}
	wantCalls(t, "statfs", r, 0)
}

// The kernel would ask for an extended attribute before every write.
func TestNoExtendedAttributes(t *testing.T) {
	r := newRig(t)
	mustStore(t, r.path(1), nil)
	if err := os.WriteFile(filepath.Join(r.dir, "local"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{r.dir, r.path(1), filepath.Join(r.dir, "local")} {
		_, err := unix.Getxattr(path, "user.x", nil)
		wantErrno(t, "getxattr", err, syscall.ENOTSUP)
		wantErrno(t, "setxattr", unix.Setxattr(path, "user.x", []byte("y"), 0), syscall.ENOTSUP)
	}
}

// Walking the tree costs one request for the root and one for each AA.
func TestWalk(t *testing.T) {
	r := newRig(t)
	want := map[string]int64{}
	for i := range 600 {
		mustStore(t, r.path(i), testContent(i%50, uint64(i)))
		want[testUUID(i).Key()] = int64(i % 50)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "index"), []byte("sqlite"), 0o600); err != nil {
		t.Fatal(err)
	}
	want["index"] = 6
	r.remount(t)
	r.faulty.Reset()
	got := map[string]int64{}
	err := filepath.WalkDir(r.dir, func(path string, d iofs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(r.dir, path)
		got[rel] = info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("found %d files, want %d", len(got), len(want))
	}
	for name, size := range want {
		if got[name] != size {
			t.Errorf("%s has %d bytes, want %d", name, got[name], size)
		}
	}
	wantCalls(t, "walk", r, 1+1) // all are under ab
}

// remount replaces the mount by a new one, so that nothing is cached.
func (r *rig) remount(t *testing.T) {
	t.Helper()
	if err := r.Unmount(); err != nil {
		t.Fatal(err)
	}
	r.mountAgain(t)
}

func (r *rig) mountAgain(t *testing.T) {
	t.Helper()
	old := r.tree
	m, err := New(Options{Mountpoint: r.dir, Store: r.store, UID: old.uid, GID: old.gid, Local: openLocal(t, r.local), Log: old.log})
	if err != nil {
		t.Fatal(err)
	}
	r.Mount = m
}

func TestReaddirShowsOnlyWhatIsCommitted(t *testing.T) {
	r := newRig(t)
	mustStore(t, r.path(0x101), []byte("x")) // ab/01
	f, err := os.OpenFile(r.path(0x201), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	names := func() []string {
		entries, err := os.ReadDir(filepath.Join(r.dir, "ab", "01"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	if got := names(); !slices.Equal(got, []string{testUUID(0x101).String()}) {
		t.Errorf("listed %v", got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(); len(got) != 2 {
		t.Errorf("listed %v after the commit", got)
	}
	if err := os.Remove(r.path(0x101)); err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{testUUID(0x201).String()}) {
		t.Errorf("listed %v after the delete", got)
	}
}

func TestRewinddirListsAgain(t *testing.T) {
	r := newRig(t)
	mustStore(t, r.path(0x101), []byte("x"))
	d, err := os.Open(filepath.Join(r.dir, "ab", "01"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if names, err := d.Readdirnames(-1); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	mustStore(t, r.path(0x201), []byte("x"))
	if _, err := d.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	if names, err := d.Readdirnames(-1); err != nil || len(names) != 2 {
		t.Errorf("after rewinding: %v, %v", names, err)
	}
}

// Opening and syncing a directory, as SQLite does, makes no request.
func TestFsyncOfDirectories(t *testing.T) {
	r := newRig(t)
	for _, dir := range []string{"", "ab", "ab/cd"} {
		fd, err := syscall.Open(filepath.Join(r.dir, dir), syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Fsync(fd); err != nil {
			t.Errorf("fsync of %q: %v", dir, err)
		}
		syscall.Close(fd)
	}
	wantCalls(t, "fsync of directories", r, 0)
}

func TestReadOnly(t *testing.T) {
	writable := newRig(t)
	mustStore(t, writable.path(1), []byte("content"))
	r := newRig(t, func(s *setting) { s.on, s.readOnly = writable.mem, true })
	wantFile(t, r.path(1), []byte("content"))
	r.faulty.Reset()
	_, err := syscall.Open(r.path(2), syscall.O_WRONLY|syscall.O_CREAT, 0o600)
	wantErrno(t, "create", err, syscall.EROFS)
	_, err = syscall.Open(r.path(1), syscall.O_WRONLY, 0)
	wantErrno(t, "open for writing", err, syscall.EROFS)
	wantErrno(t, "unlink", syscall.Unlink(r.path(1)), syscall.EROFS)
	wantErrno(t, "chmod", syscall.Chmod(r.path(1), 0o600), syscall.EROFS)
	_, err = os.Create(filepath.Join(r.dir, "local"))
	wantErrno(t, "create a local file", err, syscall.EROFS)
	wantCalls(t, "refusals", r, 0, backendtest.OpCreate, backendtest.OpDelete)

	var st unix.Statfs_t
	if err := unix.Statfs(r.dir, &st); err != nil || st.Flags&unix.ST_RDONLY == 0 {
		t.Errorf("the kernel does not know that the mount is read-only: %v", err)
	}
	// Also if somebody makes the mount writable: root may.
	if os.Getuid() == 0 {
		if err := unix.Mount("", r.dir, "", unix.MS_REMOUNT, ""); err != nil {
			t.Fatal(err)
		}
		wantErrno(t, "create after a remount", storeAs(r.path(3), nil, true), syscall.EROFS)
		wantErrno(t, "unlink after a remount", syscall.Unlink(r.path(1)), syscall.EROFS)
		wantErrno(t, "local mkdir after a remount", syscall.Mkdir(filepath.Join(r.dir, "d"), 0o700), syscall.EROFS)
	}
}

// A panic is an EIO and a stack in the log; the mount lives on.
func TestPanicIsEIO(t *testing.T) {
	r := newRig(t)
	mustStore(t, r.path(1), []byte("content"))
	boom := func(context.Context, *backendtest.Request) error { panic("boom") }
	r.faulty.Inject(backendtest.Each(backendtest.OpRead, boom), backendtest.Each(backendtest.OpCreate, boom),
		backendtest.Each(backendtest.OpDelete, boom), backendtest.Each(backendtest.OpList, boom))
	_, err := os.Open(r.path(1))
	wantErrno(t, "open", err, syscall.EIO)
	wantErrno(t, "store", storeAs(r.path(2), []byte("x"), true), syscall.EIO)
	wantErrno(t, "unlink", syscall.Unlink(r.path(1)), syscall.EIO)
	_, err = os.ReadDir(r.dir)
	wantErrno(t, "readdir", err, syscall.EIO)
	if log := r.log.String(); !strings.Contains(log, "panic") || !strings.Contains(log, "tree_test.go") {
		t.Errorf("no stack in the log:\n%s", log)
	}
	r.faulty.Reset()
	wantFile(t, r.path(1), []byte("content"))
	mustStore(t, r.path(3), []byte("x"))
	if errors.Is(os.Remove(r.path(1)), syscall.EIO) {
		t.Error("the mount does not recover")
	}
}

// An unlink names the version that the kernel was shown, also when nobody else
// remembers it.
func TestUnlinkNamesTheVersion(t *testing.T) {
	r := newRig(t, func(s *setting) { s.timing.Recent = 0 })
	mustStore(t, r.path(1), []byte("content"))
	obj, err := r.mem.Stat(t.Context(), testUUID(1).Key())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(r.path(1)); err != nil {
		t.Fatal(err)
	}
	versions := make(chan string, 10)
	r.faulty.Inject(func(c backendtest.Call) backendtest.Fault {
		if c.Op == backendtest.OpDelete {
			versions <- c.Version
		}
		return nil
	})
	if err := syscall.Unlink(r.path(1)); err != nil {
		t.Fatal(err)
	}
	if version := <-versions; version != obj.Version || len(versions) > 0 {
		t.Errorf("version %q was deleted, and %d more, want %q", version, len(versions), obj.Version)
	}
}
