package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs"
)

// maxStale is how many dead mounts are removed from one mount point: daemons
// that were killed before one could clean up after them.
const maxStale = 16

// cleanMountpoint removes what a killed daemon has left at path, and tells how
// many mounts that were.
func cleanMountpoint(path string) (removed int, err error) {
	for ; removed < maxStale; removed++ {
		if !isStale(path) {
			return removed, nil
		}
		if err := fs.Detach(path); err != nil {
			return removed, fmt.Errorf("%s is a dead mount that cannot be removed: %w: unmount it by hand with 'umount -l %s'", path, err, path)
		}
	}
	return removed, fmt.Errorf("%s is a dead mount again after %d were removed", path, maxStale)
}

// isStale reports that a mount's daemon is gone ("Transport endpoint is not
// connected"). A stat would not do: the kernel remembers the root directory.
func isStale(path string) bool {
	var st unix.Statfs_t
	return errors.Is(unix.Statfs(path, &st), unix.ENOTCONN)
}

// checkMountpoint says whether the bucket can be mounted. A dead mount is no
// obstacle: mount removes it.
func checkMountpoint(cfg Config) backends.Finding {
	found := backends.Finding{Item: "mountpoint", Detail: cfg.Mountpoint}
	if isStale(cfg.Mountpoint) {
		found.Warning = "it is a dead mount, which mount will remove: the daemon that served it was killed"
		return found
	}
	served, err := isServed(cfg.Mountpoint)
	if err == nil && served {
		err = fmt.Errorf("%s: a bucket is mounted there already: stop the daemon that serves it first", cfg.Mountpoint)
	}
	if err == nil {
		err = checkEmptyDir(cfg.Mountpoint)
	}
	found.Err = err
	found.Warning = bareMountpointAdvice(cfg)
	return found
}

// bareMountpointAdvice is about what happens while nothing is mounted: an
// Orthanc that runs then must not find a directory that it can write to.
func bareMountpointAdvice(cfg Config) string {
	var st unix.Stat_t
	uid, gid, err := resolveOwner(cfg.Owner)
	if err != nil || unix.Stat(cfg.Mountpoint, &st) != nil {
		return ""
	}
	writable := st.Mode&unix.S_IWOTH != 0 || st.Gid == gid && st.Mode&unix.S_IWGRP != 0 || st.Uid == uid && st.Mode&unix.S_IWUSR != 0
	if uid == 0 || !writable {
		return ""
	}
	return "while nothing is mounted there, Orthanc can write plaintext to it: give the bare directory to root, with mode 0555"
}

func checkEmptyDir(path string) error {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: create the directory, or correct mountpoint", err)
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty, and a mount would hide what is in it: move its files away, or name another directory", path)
	}
	return nil
}

// isServed reports that a file system of ours is mounted at path.
func isServed(path string) (bool, error) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(info)) {
		fields, rest, ok := strings.Cut(line, " - ")
		columns := strings.Fields(fields)
		const mountPoint = 4
		if ok && len(columns) > mountPoint && unescape(columns[mountPoint]) == path &&
			strings.HasPrefix(rest, "fuse.orthanc-bucketfs ") {
			return true, nil
		}
	}
	return false, nil
}

// unescape undoes what the kernel does to white space and backslashes in
// mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
