package archive

import (
	"os"
	"path/filepath"
	"testing"
)

// A directory that is removed while those before it are worked on is no failure.
func TestDirectoryVanishes(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		path := filepath.Join(dir, uuid(t, i).Key())
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content(i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var keys []string
	for r, err := range files(root, "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, r.Object.Key)
		if len(keys) == 1 {
			if err := os.RemoveAll(filepath.Join(dir, "01")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(keys) != 2 || keys[1] != uuid(t, 2).Key() {
		t.Errorf("found %q", keys)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}
