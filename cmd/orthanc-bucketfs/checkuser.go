package main

import (
	"errors"
	"fmt"
	"os"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/privileged"
)

// checkUser tells as whom a mount that root starts is served, and whether the
// directories of the configuration can be opened for that user.
func checkUser(cfg Config) backends.Finding {
	const keeps = "the mount is served with root's rights, which whoever takes the daemon over would have"
	found := backends.Finding{Item: "user"}
	uid, gid, err := resolveOwner(cfg.User)
	switch {
	case os.Geteuid() != 0:
		found.Detail = "that of this process, which is not root"
		return found
	case err != nil:
		found.Warning = fmt.Sprintf("%v: until then, %s", err, keeps)
		return found
	case uid == 0:
		found.Warning = "root: " + keeps
		return found
	}
	found.Detail = fmt.Sprintf("uid %d, gid %d, without any of root's rights", uid, gid)
	found.Err = tryDirectories(cfg, privileged.ID{UID: uid, GID: gid})
	return found
}

func tryDirectories(cfg Config, user privileged.ID) error {
	list, err := cfg.directories()
	errs := []error{err}
	for _, d := range list {
		if _, err := os.Stat(d.path); err != nil {
			continue // other items tell; a state_dir is made
		}
		f, err := d.open(user)
		if err != nil {
			errs = append(errs, cfg.fault(d.key, err, ""))
			continue
		}
		f.Close()
	}
	return errors.Join(errs...)
}
