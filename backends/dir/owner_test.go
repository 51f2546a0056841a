package dir

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root makes in the bucket of another user is that user's, who is to read it.
func TestWhatRootMakesIsTheOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const owner = 4711
	path := t.TempDir()
	if err := os.Chown(path, owner, owner); err != nil {
		t.Fatal(err)
	}
	b := open(t, path)
	if _, err := b.Create(t.Context(), "ab/cd/object", []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	obj, err := b.Stat(t.Context(), "ab/cd/object")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Replace(t.Context(), "ab/cd/object", obj.Version, []byte("sealed again")); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != owner || st.Gid != owner {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
