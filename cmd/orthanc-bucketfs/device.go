package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// keepFromChildren makes this process the only one that holds the kernel's end
// of its mounts. go-fuse lets children inherit it: one of the watchdog's, hung
// in the mount where nothing can kill it, would then keep a mount alive whose
// daemon is dead, and everybody who waits for it waiting.
func keepFromChildren() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("keeping /dev/fuse from children: %w", err)
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		var st unix.Stat_t
		if err == nil && unix.Fstat(fd, &st) == nil && isFUSE(&st) {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// isFUSE recognises /dev/fuse by its numbers, which are fixed (devices.txt of
// the kernel).
func isFUSE(st *unix.Stat_t) bool {
	const major, minor = 10, 229
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && unix.Major(st.Rdev) == major && unix.Minor(st.Rdev) == minor
}
