package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden keeps what is in the memory of this process, keys among it, out of core
// dumps, and from being read by other processes of the same user.
func harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no core dumps: setrlimit: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("no core dumps: prctl: %w", err)
	}
	return nil
}
