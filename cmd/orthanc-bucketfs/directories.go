package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"orthanc-bucketfs/cmd/internal/privileged"
)

// directory is one of the configuration that a mount works in.
type directory struct {
	key, path string
	owner     *privileged.ID // whose files are in it; nil for the directory's own
}

// directories returns all there are.
func (c Config) directories() (list []directory, err error) {
	add := func(key, path string, owner *privileged.ID) {
		if path != "" {
			list = append(list, directory{key, path, owner})
		}
	}
	uid, gid, err := resolveOwner(c.Owner)
	if err != nil {
		return nil, c.fault("owner", err, "")
	}
	add("local_dir", c.LocalDir, &privileged.ID{UID: uid, GID: gid})
	if c.FallbackDir != c.LocalDir {
		add("fallback_dir", c.FallbackDir, nil)
	}
	if c.Backend == "dir" {
		add("dir.path", c.Dir.Path, nil)
	}
	if !c.ReadOnly {
		add("state_dir", c.StateDir, nil)
	}
	return list, nil
}

// openDirectories opens them for user.
func openDirectories(cfg Config, user privileged.ID) privileged.Answer {
	answer := handedDirectories{Errors: map[string]string{}}
	var files []*os.File
	list, err := cfg.directories()
	if err != nil {
		answer.Errors[""] = err.Error()
	}
	for _, d := range list {
		f, err := d.open(user)
		if err != nil {
			answer.Errors[d.path] = cfg.fault(d.key, err, "").Error()
			continue
		}
		answer.Paths, files = append(answer.Paths, d.path), append(files, f)
	}
	return privileged.Answer{Value: answer, Files: files}
}

func (d directory) open(user privileged.ID) (*os.File, error) {
	owner, err := d.ownerFor(user)
	if err != nil {
		return nil, err
	}
	if owner.UID == 0 || owner.GID == 0 {
		if err := privileged.Guarded(d.path); err != nil {
			return nil, fmt.Errorf("%s holds files of root, and %w: move it below directories that are root's alone, "+
				"or 'chown -R %d:%d %s'", d.path, err, user.UID, user.GID, d.path)
		}
	}
	f, err := privileged.Clone(d.path, owner, user)
	if errors.Is(err, privileged.ErrNoMapping) {
		err = fmt.Errorf("%s: %w: 'chown -R %d:%d %s', or move it to a file system that can", d.path, err, user.UID, user.GID, d.path)
	}
	return f, err
}

// advice is for a directory that is missing. An empty one in the place of
// fallback_dir would make every image in it look as if it were lost.
func (d directory) advice() string {
	if d.key == "fallback_dir" {
		return adviceFallback
	}
	return "create it, or name another directory"
}

// ownerFor returns whose files are to be user's. What is user's already stays so.
// A state_dir that is missing is made for user.
func (d directory) ownerFor(user privileged.ID) (privileged.ID, error) {
	info, err := os.Stat(d.path)
	if errors.Is(err, os.ErrNotExist) && d.key == "state_dir" {
		return user, makeFor(user, d.path)
	}
	if err != nil {
		return privileged.ID{}, fmt.Errorf("%s: %w: %s", d.path, withoutPath(err), d.advice())
	}
	st := info.Sys().(*syscall.Stat_t)
	switch {
	case st.Uid == user.UID:
		return user, nil
	case d.owner != nil:
		return *d.owner, nil
	}
	return privileged.ID{UID: st.Uid, GID: st.Gid}, nil
}

// makeFor makes a directory for user, where only root can put another in its
// place before it is given away.
func makeFor(user privileged.ID, path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if err := privileged.Guarded(path); err != nil {
		return fmt.Errorf("%w: make it for uid %d yourself, or name another", err, user.UID)
	}
	return os.Lchown(path, int(user.UID), int(user.GID))
}
