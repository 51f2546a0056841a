package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"orthanc-bucketfs/backends"
)

// When the directory of the bucket is gone, nothing says that an object is not
// there. One that was moved is still the same directory.
func TestRemovedDirectoryIsNotAbsence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bucket")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Create(t.Context(), "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	moved := path + "-moved"
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stat(t.Context(), "a/b"); err != nil {
		t.Errorf("after the directory was moved: %v", err)
	}
	if _, err := b.Stat(t.Context(), "a/c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing object: %v", err)
	}
	if err := os.RemoveAll(moved); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a/b", "c"} {
		_, stat := b.Stat(t.Context(), key)
		_, _, read := b.Read(t.Context(), key, "", make([]byte, 1), 0)
		for _, err := range []error{stat, read} {
			if !errors.Is(err, errRemoved) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", key, err)
			}
		}
	}
	for _, opts := range []backends.ListOptions{{}, {Shallow: true}, {Prefix: "a/"}} {
		if _, err := b.List(t.Context(), opts); !errors.Is(err, errRemoved) {
			t.Errorf("list %+v: %v", opts, err)
		}
	}
}
