package server

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func TestCachedInstallsOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var installs atomic.Int32
	install := func(dir string) error {
		installs.Add(1)
		return os.WriteFile(filepath.Join(dir, "server"), nil, 0o700)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := Cached("example.com/server@v1", install)
			if err != nil {
				t.Errorf("cached: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "server")); err != nil {
				t.Errorf("cached: %v", err)
			}
		})
	}
	wg.Wait()
	if n := installs.Load(); n != 1 {
		t.Errorf("installed %d times, want once", n)
	}
}

// What was not installed whole is not there.
func TestCachedForgetsFailures(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	broken := errors.New("broken")
	_, err := Cached("server@v1", func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got error %v, want %v", err, broken)
	}
	dir, err := Cached("server@v1", func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "half")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a failed installation has left a file: %v", err)
	}
}
