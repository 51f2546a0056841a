package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/privileged"
)

// helperVariable says where the helper is to be found: at the path of a socket,
// or, as in fd:3, at the other end of one that was inherited.
const helperVariable = "ORTHANC_BUCKETFS_HELPER"

// What the helper is asked for.
const (
	wantFiles       privileged.Question = 'f'
	wantDirectories privileged.Question = 'd'
	wantMachine     privileged.Question = 'c'
	wantMount       privileged.Question = 'm'
	wantUnmount     privileged.Question = 'u'
)

// helper is the process with root's rights that does for a mount what takes
// them. A nil one is none: then this process does it all itself.
type helper struct {
	where string
	conn  *net.UnixConn // kept if it was inherited, else nil
}

// findHelper returns nil if there is none.
func findHelper(lookupEnv func(string) (string, bool)) (*helper, error) {
	where, _ := lookupEnv(helperVariable)
	number, inherited := strings.CutPrefix(where, "fd:")
	switch {
	case where == "":
		return nil, nil
	case !inherited:
		return &helper{where: where}, nil
	}
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, usagef("%s: %q is no descriptor", helperVariable, where)
	}
	f := os.NewFile(uintptr(fd), where)
	defer f.Close()
	conn, err := unixConn(f)
	if err != nil {
		return nil, usagef("%s: %q: %w", helperVariable, where, err)
	}
	return &helper{where: where, conn: conn}, nil
}

func unixConn(f *os.File) (*net.UnixConn, error) {
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("it is no socket of this machine"), conn.Close())
	}
	return unix, nil
}

// ask asks the helper, and connects for that unless a connection is kept.
func (h *helper) ask(q privileged.Question, value any) ([]*os.File, error) {
	conn := h.conn
	if conn == nil {
		dialed, err := net.Dial("unix", h.where)
		if err != nil {
			return nil, h.lost(err)
		}
		defer dialed.Close()
		conn = dialed.(*net.UnixConn)
	}
	files, err := privileged.Call(conn, q, value)
	if err != nil && !errors.As(err, new(*privileged.Refusal)) {
		return nil, h.lost(err)
	}
	return files, err
}

func (h *helper) lost(err error) error {
	return fmt.Errorf("the helper that has root's rights does not answer: %w: look at orthanc-bucketfs-helper.socket, and at the log", err)
}

// handedFiles is the answer to wantFiles.
type handedFiles struct {
	Config string                `json:"config"` // the text of the configuration
	Files  map[string]handedFile `json:"files"`  // that it names
	Owner  privileged.ID         `json:"owner"`
}

// loadConfig is loadConfig for a process that may not read the files.
func (h *helper) loadConfig(file string, lookupEnv func(string) (string, bool)) (Config, error) {
	if h == nil {
		return loadConfig(file, lookupEnv)
	}
	var answer handedFiles
	if _, err := h.ask(wantFiles, &answer); err != nil {
		return Config{}, err
	}
	cfg, err := parseConfig(file, answer.Config, lookupEnv)
	cfg.readFrom(&handed{files: answer.Files, owner: answer.Owner})
	return cfg, err
}

// handedDirectories is the answer to wantDirectories: the names of the descriptors
// that come with it, in their order, and why there are no others.
type handedDirectories struct {
	Paths  []string          `json:"paths"`
	Errors map[string]string `json:"errors"`
}

// openDirectories adds the directories of cfg to what was handed over. Without
// the state_dir a mount can do.
func (h *helper) openDirectories(cfg Config) error {
	if h == nil {
		return nil
	}
	var answer handedDirectories
	files, err := h.ask(wantDirectories, &answer)
	if err != nil {
		return err
	}
	cfg.handed.directories = map[string]handedDirectory{}
	for i, path := range answer.Paths {
		if i < len(files) {
			cfg.handed.directories[path] = handedDirectory{file: files[i]}
		}
	}
	var errs []error
	for path, text := range answer.Errors {
		refused := errors.New(text)
		cfg.handed.directories[path] = handedDirectory{err: refused}
		if path != cfg.StateDir {
			errs = append(errs, refused)
		}
	}
	return errors.Join(errs...)
}

// handedFinding is a Finding that can travel.
type handedFinding struct {
	Item, Detail, Warning, Error string
}

// machine examines what a mount needs of this machine.
func (h *helper) machine(l *checklist, file string, cfg Config) {
	if h == nil {
		l.here(file, cfg)
		return
	}
	var answer []handedFinding
	if _, err := h.ask(wantMachine, &answer); err != nil {
		l.add(backends.Finding{Item: itemHelper, Err: err})
	}
	for _, f := range answer {
		found := backends.Finding{Item: f.Item, Detail: f.Detail, Warning: f.Warning}
		if f.Error != "" {
			found.Err = errors.New(f.Error)
		}
		l.add(found)
	}
}

// mount returns the device to serve, and the root of what is mounted.
func (h *helper) mount() (device, root *os.File, err error) {
	files, err := h.ask(wantMount, nil)
	if err != nil {
		return nil, nil, err
	}
	if len(files) != 2 {
		return nil, nil, h.lost(errors.New("no mount came with its answer"))
	}
	return files[0], files[1], nil
}

func (h *helper) unmount() error {
	_, err := h.ask(wantUnmount, nil)
	return err
}
