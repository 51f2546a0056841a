package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Cached returns the directory of the user's cache for name, and calls install
// with a fresh directory to fill it if it is not there yet. Processes that want
// the same directory wait for the first.
func Cached(name string, install func(dir string) error) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	base = filepath.Join(base, "orthanc-bucketfs")
	if err := os.MkdirAll(base, 0o700); err != nil {
		return "", err
	}
	dir := filepath.Join(base, strings.ReplaceAll(name, "/", "_"))
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(base, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := install(tmp); err != nil {
		return "", fmt.Errorf("installing %s: %w", name, err)
	}
	return dir, os.Rename(tmp, dir)
}

// lock waits for the lock file at path. The lock ends with the process.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return f.Close, nil
}
