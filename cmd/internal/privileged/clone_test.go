package privileged

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	owner    = 4700
	stranger = 4702
	user     = 4711
)

// as runs a script as user, without rights, in the directory that is open.
func as(dir *os.File, script string) (string, error) {
	cmd := exec.Command("setpriv", fmt.Sprintf("--reuid=%d", user), fmt.Sprintf("--regid=%d", user), "--clear-groups",
		"--bounding-set=-all", "--no-new-privs", "sh", "-c", "umask 022; cd /proc/self/fd/3 && "+script)
	cmd.ExtraFiles = []*os.File{dir}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// site is a directory of owner's, which nobody else gets at.
func site(t *testing.T) string {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	for name, id := range map[string]int{"own": owner, "strange": stranger, "root": 0} {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600), os.Chown(filepath.Join(dir, name), id, id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chown(dir, owner, owner), os.Chmod(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// In a clone the owner's files are the user's own, what the user makes is the
// owner's on the disk, and nobody else's files change hands.
func TestClone(t *testing.T) {
	dir := site(t)
	clone, err := Clone(dir, ID{owner, owner}, ID{user, user})
	if err != nil {
		t.Fatal(err)
	}
	defer clone.Close()
	out, err := as(clone, "cat own && stat -c %u:%g own && echo new >new && mkdir sub && mv new sub/new && chmod 600 sub/new")
	if err != nil || out != fmt.Sprintf("own%d:%[1]d\n", user) {
		t.Errorf("%v: %q", err, out)
	}
	for _, name := range []string{"sub", "sub/new", "own"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != owner || st.Gid != owner {
			t.Errorf("%s belongs to %d:%d on the disk", name, st.Uid, st.Gid)
		}
	}
	for _, attempt := range []string{"cat strange", "cat root", "chown 0 own", fmt.Sprintf("chown %d own", stranger), "mknod node c 1 3"} {
		if out, err := as(clone, attempt); err == nil {
			t.Errorf("%s: succeeds: %s", attempt, out)
		}
	}
	if out, err := as(clone, `cp /bin/true program && chmod 755 program && ./program`); err == nil || !strings.Contains(out, "ermission denied") {
		t.Errorf("a program in it runs: %v: %s", err, out)
	}
	if visible, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(visible), dir) {
		t.Errorf("others see it: %v", err)
	}
}

// Without a clone the same user has nothing in that directory.
func TestNoClone(t *testing.T) {
	dir := site(t)
	plain, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if out, err := as(plain, "cat own"); err == nil {
		t.Errorf("it succeeds: %s", out)
	}
}

// What is the user's already needs no mapping.
func TestCloneOfOnesOwn(t *testing.T) {
	dir := site(t)
	clone, err := Clone(dir, ID{owner, owner}, ID{owner, owner})
	if err != nil {
		t.Fatal(err)
	}
	defer clone.Close()
	var st unix.Stat_t
	if err := unix.Fstatat(int(clone.Fd()), "own", &st, 0); err != nil || st.Uid != owner {
		t.Errorf("%v, of %d", err, st.Uid)
	}
}

// A file system without mappings says so.
func TestCloneWithoutMapping(t *testing.T) {
	needRoot(t)
	_, err := Clone("/proc/sys", ID{0, 0}, ID{user, user})
	if !errors.Is(err, ErrNoMapping) {
		t.Errorf("%v", err)
	}
}

func TestCloneOfNoDirectory(t *testing.T) {
	needRoot(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{file: unix.ENOTDIR, file + "2": unix.ENOENT} {
		if _, err := Clone(path, ID{0, 0}, ID{user, user}); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The namespace that a mapping comes from leaves no process behind.
func TestNamespaceIsHeldByNobody(t *testing.T) {
	needRoot(t)
	namespace, err := userNamespace(ID{owner, owner}, ID{user, user})
	if err != nil {
		t.Fatal(err)
	}
	defer namespace.Close()
	if out, err := exec.Command("pgrep", "--parent", fmt.Sprint(os.Getpid()), "--full", holder).Output(); err == nil {
		t.Errorf("left: %s", out)
	}
}
