package fs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links may be on the way to a mount point; the kernel
// follows as many.
const maxLinks = 40

// errForeignLink reports a link on the way to a mount point that leads to where
// somebody else wants the mount: over /etc, with files of his own.
var errForeignLink = errors.New("there is a link on the way to it that is not root's: remove it, or name where it leads to")

// openMountpoint opens the directory that path leads to. Links on the way are
// followed if they are root's, or this process's user's: Orthanc's user owns the
// directory above the usual mount point, and may put one there at any time.
func openMountpoint(path string) (*os.File, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	at, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	rest, links := strings.Split(path, "/"), 0
	for len(rest) > 0 && err == nil {
		var more []string
		at, more, err = step(at, rest[0])
		rest = append(more, rest[1:]...)
		if len(more) > 0 {
			links++
		}
		if links > maxLinks {
			err = unix.ELOOP
		}
	}
	if err != nil {
		unix.Close(at)
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(at), path), nil
}

// step goes from a directory, which it closes, to what is called name there. If
// that is a link, it returns the names that it consists of, and where they begin.
func step(dir int, name string) (at int, more []string, err error) {
	if name == "" || name == "." {
		return dir, nil, nil
	}
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return dir, nil, err
	}
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", target)
	if err != nil { // it is no link. A stat would not do: a dead mount answers none
		unix.Close(dir)
		return fd, nil, nil
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return dir, nil, err
	}
	if st.Uid != 0 && st.Uid != uint32(os.Geteuid()) {
		return dir, nil, errForeignLink
	}
	more = strings.Split(string(target[:n]), "/")
	if more[0] != "" {
		return dir, more, nil
	}
	unix.Close(dir)
	at, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return at, more, err
}

// realMountpoint returns a path without links to what path leads to.
func realMountpoint(path string) (string, error) {
	dir, err := openMountpoint(path)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	return os.Readlink(descriptorPath(dir))
}

func descriptorPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
