package dir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func TestBucket(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Bucket { return open(t, t.TempDir()) })
}

func TestBucketBelowPrefix(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Bucket {
		return backends.WithPrefix(open(t, t.TempDir()), "root/path")
	})
}

func open(t testing.TB, path string) *Bucket {
	t.Helper()
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func create(t testing.TB, b backends.Bucket, key, body string) backends.Object {
	t.Helper()
	obj, err := b.Create(t.Context(), key, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

// contents returns the names of the files in a directory; none if it is missing.
func contents(t testing.TB, elem ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(elem...))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// enterPublicDir makes a temporary directory that everybody may enter and read
// the working directory, where its relative names do not depend on the modes
// above it.
func enterPublicDir(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.Chmod(".", 0o755); err != nil {
		t.Fatal(err)
	}
}

// unprivileged calls f without root's right to pass over file modes.
func unprivileged(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			// The thread ends with the goroutine, since it stays locked.
			runtime.LockOSThread()
			_ = syscall.Setfsuid(65534)
		}
		f()
	}()
	<-done
}

func TestOpenRefuses(t *testing.T) {
	enterPublicDir(t)
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("locked", 0); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"missing":    fs.ErrNotExist,
		"file":       syscall.ENOTDIR,
		"file/below": syscall.ENOTDIR,
		"locked":     fs.ErrPermission,
	} {
		unprivileged(func() {
			_, err := Open(path)
			if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open %s: got error %v, want %v", path, err, want)
			}
		})
	}
}

func TestString(t *testing.T) {
	path := t.TempDir()
	if got, want := open(t, path).String(), "dir "+path; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestObjectsAreFiles(t *testing.T) {
	path := t.TempDir()
	create(t, open(t, path), "AA/BB/x", "body")
	got, err := os.ReadFile(filepath.Join(path, "AA/BB/x"))
	if err != nil || string(got) != "body" {
		t.Errorf("got %q, error %v", got, err)
	}
	for name, want := range map[string]fs.FileMode{
		"AA": fs.ModeDir | 0o700, "AA/BB": fs.ModeDir | 0o700, tmpDir: fs.ModeDir | 0o700, "AA/BB/x": 0o600,
	} {
		fi, err := os.Stat(filepath.Join(path, name))
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode() != want {
			t.Errorf("mode of %s is %v, want %v", name, fi.Mode(), want)
		}
	}
	if left := contents(t, path, tmpDir); len(left) > 0 {
		t.Errorf("temporary files are left: %q", left)
	}
}

func TestDescriptionsAreEqual(t *testing.T) {
	ctx := t.Context()
	b := open(t, t.TempDir())
	want := create(t, b, "x", "body")
	stat, err := b.Stat(ctx, "x")
	if err != nil || stat != want {
		t.Errorf("Stat: got %+v, error %v, want %+v", stat, err, want)
	}
	_, read, err := b.Read(ctx, "x", "", nil, 0)
	if err != nil || read != want {
		t.Errorf("Read: got %+v, error %v, want %+v", read, err, want)
	}
	page, err := b.List(ctx, backends.ListOptions{})
	if err != nil || len(page.Objects) != 1 || page.Objects[0] != want {
		t.Errorf("List: got %+v, error %v, want %+v", page, err, want)
	}
}

func TestFilesPutThereAreObjects(t *testing.T) {
	path := t.TempDir()
	b := open(t, path)
	if err := os.WriteFile(filepath.Join(path, "x"), []byte("body"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	n, _, err := b.Read(t.Context(), "x", "", p, 0)
	if err != nil || string(p[:n]) != "body" {
		t.Errorf("Read: got %q, error %v", p[:n], err)
	}
}

// callAll returns the error of each method that takes a key.
func callAll(ctx context.Context, b *Bucket, key string) map[string]error {
	_, stat := b.Stat(ctx, key)
	_, _, read := b.Read(ctx, key, "", make([]byte, 1), 0)
	_, create := b.Create(ctx, key, []byte("body"))
	return map[string]error{"Stat": stat, "Read": read, "Create": create, "Delete": b.Delete(ctx, key, "")}
}

func TestNamesThatAreNoKeys(t *testing.T) {
	b := open(t, t.TempDir())
	for _, key := range []string{
		"a\x00b", "a/\x00", tmpDir, tmpDir + "/x", "lost+found", "lost+found/x",
		strings.Repeat("x", 256), "a/" + strings.Repeat("x", 256) + "/b",
	} {
		for method, err := range callAll(t.Context(), b, key) {
			if !errors.Is(err, backends.ErrInvalidKey) {
				t.Errorf("%s %q: got error %v, want %v", method, key, err, backends.ErrInvalidKey)
			}
		}
	}
	create(t, b, "a/"+tmpDir+"/x", "")
	create(t, b, "a/lost+found/x", "")
	create(t, b, strings.Repeat("x", 255), "")
}

func TestRefusals(t *testing.T) {
	enterPublicDir(t)
	b := open(t, ".")
	create(t, b, "dir/x", "body")
	for _, name := range []string{"dir", tmpDir} {
		if err := os.Chmod(name, 0); err != nil {
			t.Fatal(err)
		}
	}
	unprivileged(func() {
		for method, err := range callAll(t.Context(), b, "dir/x") {
			if !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: got error %v, want %v", method, err, fs.ErrPermission)
			}
		}
		if _, err := b.List(t.Context(), backends.ListOptions{}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("List: got error %v, want %v", err, fs.ErrPermission)
		}
	})
	for _, name := range []string{"dir", tmpDir} {
		if err := os.Chmod(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}
