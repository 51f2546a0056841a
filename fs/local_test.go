package fs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

func TestWithoutALocalDirectory(t *testing.T) {
	r := newRig(t, func(s *setting) { s.noLocal = true })
	for _, name := range []string{"index", "ab/x", "ab/01/DOE^JANE.dcm", "ab/01/" + strings.ToUpper(testUUID(0x101).String())} {
		path := filepath.Join(r.dir, name)
		_, err := os.Stat(path)
		wantErrno(t, "stat "+name, err, syscall.ENOENT)
		_, err = os.Create(path)
		wantErrno(t, "create "+name, err, syscall.EPERM)
		wantErrno(t, "mkdir "+name, os.Mkdir(path, 0o700), syscall.EPERM)
		wantErrno(t, "symlink "+name, os.Symlink("x", path), syscall.EPERM)
		wantErrno(t, "mknod "+name, syscall.Mknod(path, syscall.S_IFIFO, 0), syscall.EPERM)
	}
	log := r.log.String()
	if strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "local_dir") || strings.Contains(log, "DOE") {
		t.Errorf("want one line that says what to do and names no file:\n%s", log)
	}
	mustStore(t, r.path(1), []byte("content"))
	wantFile(t, r.path(1), []byte("content"))
}

// What is not an attachment lives below the local directory, under its own
// path, and never reaches the bucket.
func TestLocalFiles(t *testing.T) {
	r := newRig(t)
	mustStore(t, r.path(0x101), []byte("content"))
	r.faulty.Reset()
	for _, name := range []string{"index", "ab/x", "ab/01/notes.txt", "d/e/f"} {
		path := filepath.Join(r.dir, name)
		if dir := filepath.Dir(name); dir == "d/e" {
			if err := os.MkdirAll(filepath.Join(r.dir, dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, []byte(name), 0o640); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, []byte(name))
		wantFile(t, filepath.Join(r.local, name), []byte(name))
		if err := os.Rename(path, path+"2"); err != nil {
			t.Error(err)
		}
		if err := os.Link(path+"2", path); err != nil {
			t.Error(err)
		}
		if err := os.Truncate(path, 1); err != nil {
			t.Error(err)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Remove(path + "2"); err != nil {
			t.Error(err)
		}
	}
	wantCalls(t, "local files", r, 0)
	if err := os.Rename(filepath.Join(r.dir, "index"), filepath.Join(r.dir, "ab/01/moved")); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(filepath.Join(r.dir, "ab/01"))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{testUUID(0x101).String(), "moved", "notes.txt"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("listed %v, %v; want %v", names, err, want)
	}
}

// A local file must not take a name of the layout: nobody would see it again.
func TestLocalFilesDoNotEnterTheLayout(t *testing.T) {
	r := newRig(t)
	if err := os.MkdirAll(filepath.Join(r.dir, "d/e"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.dir, "d/e/f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantErrno(t, "rename to an attachment", os.Rename(file, r.path(1)), syscall.EXDEV)
	wantErrno(t, "link to an attachment", os.Link(file, r.path(1)), syscall.EXDEV)
	wantErrno(t, "rename to AA", syscall.Rename(filepath.Join(r.dir, "d"), filepath.Join(r.dir, "aa")), syscall.EXDEV)
	mustStore(t, r.path(1), []byte("content"))
	wantErrno(t, "rename of an attachment into a local directory", os.Rename(r.path(1), filepath.Join(r.dir, "d/x")), syscall.EXDEV)
	wantErrno(t, "link of an attachment into a local directory", os.Link(r.path(1), filepath.Join(r.dir, "d/x")), syscall.EXDEV)
	// mv copies.
	if out, err := exec.Command("mv", r.path(1), filepath.Join(r.dir, "d/x")).CombinedOutput(); err != nil {
		t.Errorf("mv: %v: %s", err, out)
	}
	wantFile(t, filepath.Join(r.dir, "d/x"), []byte("content"))
}

// What somebody puts below the local directory under a name of the layout
// stays hidden.
func TestLocalFilesBehindTheLayoutAreHidden(t *testing.T) {
	r := newRig(t)
	hidden := filepath.Join(r.local, testUUID(1).Key())
	if err := os.MkdirAll(filepath.Dir(hidden), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hidden, []byte("plaintext"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := os.Stat(r.path(1))
	wantErrno(t, "stat", err, syscall.ENOENT)
	if entries, err := os.ReadDir(filepath.Dir(r.path(1))); err != nil || len(entries) != 0 {
		t.Errorf("listed %v, %v", entries, err)
	}
}

func TestLocalDirectoryThatIsNone(t *testing.T) {
	r := newRig(t)
	o := Options{Mountpoint: t.TempDir(), Store: r.store, Local: openLocal(t, "/dev/null"), Log: r.tree.log}
	if m, err := New(o); err == nil || !strings.Contains(err.Error(), "local directory /dev/null is not a directory") {
		t.Errorf("mounted with a file as the local directory: %v", err)
		m.Unmount()
	}
}

// SQLite in WAL mode, as Orthanc's index uses it: locks, shared memory by
// mmap, several processes at once, one of them killed.
func TestSQLite(t *testing.T) {
	r := newRig(t)
	const python = "/usr/bin/python3"
	for _, mode := range []string{"wal", "delete"} {
		out, err := exec.Command(python, "testdata/sqlite.py", filepath.Join(r.dir, "index-"+mode), mode).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", mode, err, out)
		}
	}
}

// The tests that apply to a local directory. Left out are those of extended
// attributes and O_DIRECT, which the mount does not offer; of locks that the
// file system sees, because the kernel keeps them; of a directory that is renamed
// while it is open, a known limitation of go-fuse; and of a file that is replaced
// by a symbolic link all the time, which knows no ESTALE: TestSwaps has that.
func TestPOSIX(t *testing.T) {
	for _, name := range []string{
		"AppendWrite", "DirSeek", "FcntlFlockSetLk", "FdLeak", "FileBasic", "FileLarge", "FstatDeleted", "Link",
		"LinkUnlinkRename", "LseekEnxioCheck", "LseekHoleSeeksToEOF", "MkdirRmdir", "NlinkZero", "OpenAt",
		"ParallelFileOpen", "ReadDirBasic", "ReadDirConsistency",
		"RenameOverwriteDestExist", "RenameOverwriteDestNoExist", "SetattrSymlink", "SymlinkReadlink",
		"TruncateFile", "TruncateNoFile", "Fallocate",
	} {
		test := posixtest.All[name]
		if test == nil {
			t.Errorf("there is no test %s", name)
			continue
		}
		t.Run(name, func(t *testing.T) { test(t, newRig(t).dir) })
	}
}
