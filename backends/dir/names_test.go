package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"orthanc-bucketfs/backends"
)

// wantPlain reports an error that says something about an object.
func wantPlain(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
	for _, news := range []error{fs.ErrExist, fs.ErrNotExist, fs.ErrPermission, backends.ErrInvalidKey, backends.ErrChanged} {
		if errors.Is(err, news) {
			t.Errorf("%s: error %v is %v", what, err, news)
		}
	}
}

func listAll(t *testing.T, b *Bucket, prefix string) []string {
	t.Helper()
	var keys []string
	for obj, err := range backends.All(t.Context(), b, prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, obj.Key)
	}
	return keys
}

func TestKeysExcludeEachOther(t *testing.T) {
	ctx := t.Context()
	b := open(t, t.TempDir())
	create(t, b, "a", "body")
	_, err := b.Create(ctx, "a/b", nil)
	wantPlain(t, "Create below an object", err, syscall.ENOTDIR)
	_, err = b.Create(ctx, "a/b/c", nil)
	wantPlain(t, "Create far below an object", err, syscall.ENOTDIR)
	create(t, b, "d/e", "body")
	_, err = b.Create(ctx, "d", nil)
	wantPlain(t, "Create above an object", err, syscall.EISDIR)
	if err := b.Delete(ctx, "d/e", ""); err != nil {
		t.Fatal(err)
	}
	_, err = b.Create(ctx, "d", nil)
	wantPlain(t, "Create in place of an empty directory", err, syscall.EISDIR)
	if err := b.Delete(ctx, "d", ""); err != nil {
		t.Errorf("Delete of a directory: %v", err)
	}
	if _, err := os.Stat(filepath.Join(b.root.Name(), "d")); err != nil {
		t.Errorf("Delete has removed an empty directory: %v", err)
	}
	if got := listAll(t, b, ""); !slices.Equal(got, []string{"a"}) {
		t.Errorf("List: got %q", got)
	}
	if left := contents(t, b.root.Name(), tmpDir); len(left) > 0 {
		t.Errorf("temporary files are left: %q", left)
	}
}

// linked returns a bucket with one object, "dir/x", and with symbolic links.
func linked(t *testing.T) *Bucket {
	t.Helper()
	outside := t.TempDir()
	b := open(t, t.TempDir())
	create(t, b, "dir/x", "body")
	if err := os.WriteFile(filepath.Join(outside, "x"), []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"file-inside":  "dir/x",
		"file-outside": filepath.Join(outside, "x"),
		"dir-inside":   "dir",
		"dir-outside":  outside,
		"dir-up":       "..",
		"loop":         "loop",
		"dangling":     "nowhere",
	} {
		if err := os.Symlink(target, filepath.Join(b.root.Name(), name)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestLinksAreNoObjects(t *testing.T) {
	b := linked(t)
	for _, key := range []string{"file-inside", "file-outside", "dir-inside", "dir-outside", "loop", "dangling"} {
		errs := callAll(t.Context(), b, key)
		for _, method := range []string{"Stat", "Read"} {
			if err := errs[method]; !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s %s: got error %v, want %v", method, key, err, fs.ErrNotExist)
			}
		}
		wantPlain(t, "Create "+key, errs["Create"], syscall.EISDIR)
		if err := errs["Delete"]; err != nil {
			t.Errorf("Delete %s: %v", key, err)
		}
		if _, err := os.Lstat(filepath.Join(b.root.Name(), key)); err != nil {
			t.Errorf("the link is gone: %v", err)
		}
	}
	if got := listAll(t, b, ""); !slices.Equal(got, []string{"dir/x"}) {
		t.Errorf("List: got %q", got)
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	b := linked(t)
	for _, key := range []string{"dir-inside/x", "dir-outside/x", "dir-up/x", "loop/x", "dangling/x", "dir-inside/new/y"} {
		for method, err := range callAll(t.Context(), b, key) {
			wantPlain(t, method+" "+key, err, syscall.ELOOP)
		}
	}
	for _, prefix := range []string{"dir-inside/", "dir-outside/x", "dir-up/"} {
		_, err := b.List(t.Context(), backends.ListOptions{Prefix: prefix})
		wantPlain(t, "List with prefix "+prefix, err, syscall.ELOOP)
	}
	if got := contents(t, b.root.Name(), "dir"); !slices.Equal(got, []string{"x"}) {
		t.Errorf("the directory holds %q", got)
	}
}

func TestSpecialFilesAreNoObjects(t *testing.T) {
	b := open(t, t.TempDir())
	if err := syscall.Mkfifo(filepath.Join(b.root.Name(), "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	errs := callAll(t.Context(), b, "fifo")
	for _, method := range []string{"Stat", "Read"} {
		if err := errs[method]; !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got error %v, want %v", method, err, fs.ErrNotExist)
		}
	}
	wantPlain(t, "Create", errs["Create"], syscall.EISDIR)
	if got := listAll(t, b, ""); len(got) > 0 {
		t.Errorf("List: got %q", got)
	}
}

func TestNamesThatAreNotListed(t *testing.T) {
	b := open(t, t.TempDir())
	create(t, b, "x", "")
	for _, name := range []string{tmpDir + "/left", "lost+found/left", "bad\xff", "bad\xff-dir/left"} {
		file := filepath.Join(b.root.Name(), name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, prefix := range []string{"", tmpDir, tmpDir + "/", "lost", "lost+found/", "bad"} {
		page, err := b.List(t.Context(), backends.ListOptions{Prefix: prefix, Shallow: true})
		if err != nil || len(page.Prefixes) > 0 {
			t.Errorf("shallow List with prefix %q: got %q, error %v", prefix, page.Prefixes, err)
		}
		want := []string(nil)
		if prefix == "" {
			want = []string{"x"}
		}
		if got := listAll(t, b, prefix); !slices.Equal(got, want) {
			t.Errorf("List with prefix %q: got %q, want %q", prefix, got, want)
		}
	}
}
