package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"orthanc-bucketfs/cmd/internal/lab"
)

// settings come from the environment.
type settings struct {
	once        bool
	http, dicom int // ports
	dir         string
}

// newSettings makes the directory, and finds ports where none are named.
func newSettings() (settings, error) {
	ports := lab.NewPorts()
	http, err := port("HTTP_PORT", ports)
	if err != nil {
		return settings{}, err
	}
	dicom, err := port("DICOM_PORT", ports)
	if err != nil {
		return settings{}, err
	}
	dir, err := directory()
	return settings{once: os.Getenv("ONCE") == "1", http: http, dicom: dicom, dir: dir}, err
}

func port(variable string, ports *lab.Ports) (int, error) {
	value := os.Getenv(variable)
	if value == "" {
		return ports.Free()
	}
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s=%s is no TCP port; use 1 to 65535, or leave it out", variable, value)
	}
	if err := lab.TryPort(int(n)); err != nil {
		return 0, fmt.Errorf("%s=%d cannot be used: %w", variable, n, err)
	}
	return int(n), nil
}

// directory returns a directory with nothing in it.
func directory() (string, error) {
	dir := os.Getenv("DEMO_DIR")
	if dir == "" {
		return os.MkdirTemp("", "orthanc-bucketfs-demo-")
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("DEMO_DIR: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = errors.New(dir + " is not empty; the demo removes its directory at the end, so name a new one")
	}
	if err != nil {
		return "", fmt.Errorf("DEMO_DIR: %w", err)
	}
	return dir, nil
}
