package privileged

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Guarded returns an error if anybody but root can make path, or a path that it
// leads to by symbolic links, stand for another file.
func Guarded(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for _, p := range []string{path, real} {
		for at := range prefixes(p) {
			if err := guardedName(at); err != nil {
				return err
			}
		}
	}
	return nil
}

// prefixes returns what has to be root's for path to be so: the directories
// above it, from the top.
func prefixes(path string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for at := "/"; at != path; {
			if !yield(at) {
				return
			}
			rest := strings.TrimPrefix(path[len(at):], "/")
			name, _, _ := strings.Cut(rest, "/")
			at = filepath.Join(at, name)
		}
	}
}

func guardedName(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	const others = 0o022
	switch {
	case st.Uid != 0:
		return fmt.Errorf("%s belongs to user %d, who could put another directory in its place", dir, st.Uid)
	case info.Mode()&os.ModeSymlink == 0 && info.Mode()&os.ModeSticky == 0 && info.Mode().Perm()&others != 0:
		return fmt.Errorf("%s can be written to by others than root, who could put another directory in its place", dir)
	}
	return nil
}
