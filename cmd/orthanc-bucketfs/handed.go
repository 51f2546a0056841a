package main

import (
	"errors"
	"fmt"
	"os"

	"orthanc-bucketfs/cmd/internal/privileged"
)

// handed is what a helper with root's rights has handed over to this process,
// which may neither read the files of the configuration nor use its directories.
// Of a nil one nothing was, and nothing needs to be.
type handed struct {
	files       map[string]handedFile
	directories map[string]handedDirectory
	owner       privileged.ID // of the mounted files
}

// handedFile is what a file holds, or why it could not be read.
type handedFile struct {
	Content []byte `json:"content,omitempty"`
	Error   string `json:"error,omitempty"`
}

// handedDirectory is an open directory, or why it could not be opened.
type handedDirectory struct {
	file *os.File
	err  error
}

// read returns what a file of the configuration holds.
func (h *handed) read(path string) ([]byte, error) {
	file, ok := h.files[path]
	switch {
	case !ok:
		return os.ReadFile(path) // a credential that systemd shows to this process alone
	case file.Error != "":
		return nil, errors.New(file.Error)
	}
	return file.Content, nil
}

// forget clears what the files held: keys and secrets.
func (h *handed) forget() {
	if h == nil {
		return
	}
	for _, file := range h.files {
		clear(file.Content)
	}
	h.files = nil
}

// refusal tells why a directory was not handed over.
func (h *handed) refusal(path string) error {
	if h == nil {
		return nil
	}
	return h.directories[path].err
}

// at returns where this process finds a directory of the configuration.
func (c Config) at(path string) string {
	if c.handed == nil || c.handed.directories[path].file == nil {
		return path
	}
	return descriptorPath(c.handed.directories[path].file)
}

func descriptorPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// owners returns who the mounted files belong to.
func (c Config) owners() (uid, gid uint32, err error) {
	if c.handed != nil {
		return c.handed.owner.UID, c.handed.owner.GID, nil
	}
	return resolveOwner(c.Owner)
}

// readFrom makes the backends read what was handed over.
func (c *Config) readFrom(h *handed) {
	c.handed = h
	c.S3.ReadFile, c.Azure.ReadFile, c.GCS.ReadFile = h.read, h.read, h.read
}
