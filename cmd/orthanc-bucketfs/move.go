package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/fs/archive"
)

// move runs work on the bucket and the plain directory dir. What is in
// fallback_dir is not in the bucket, so it stays out of it.
func (c *call) move(ctx context.Context, cfg Config, flags archiveFlags, dir string, work func(context.Context, *archiving, *os.Root) error) (err error) {
	if err := cfg.apart(dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("%s: opening DIR: %w", c.name, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	cfg.FallbackDir = ""
	examine := func(ctx context.Context, l *checklist, s *stack) { l.store(ctx, cfg, s) }
	return c.archiveIn(ctx, cfg, flags, examine, func(ctx context.Context, a *archiving) error { return work(ctx, a, root) })
}

// apart refuses a plain directory that is a mount of a bucket, or a bucket: what
// was found there and in the bucket would be one and the same.
func (c Config) apart(dir string) error {
	path, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	plain := place{key: "DIR", path: path, resolved: resolve(path)}
	others := []place{{key: "mountpoint", path: c.Mountpoint, resolved: resolve(c.Mountpoint)}}
	if c.Backend == "dir" {
		others = append(others, place{key: "dir.path", path: c.Dir.Path, resolved: resolve(c.Dir.Path)})
	}
	for _, other := range others {
		if relation := plain.relation(other); relation != "" {
			return usagef("DIR %s %s %q: name a plain directory apart from it", relation, other.key, other.path)
		}
		if same(path, other.path) {
			return usagef("DIR %s %s %q, under another name: name a plain directory apart from it", isSame, other.key, other.path)
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err == nil && fs.Type == unix.FUSE_SUPER_MAGIC {
		return usagef("DIR is on a FUSE file system, perhaps a mount of this very bucket: name a plain directory")
	}
	return nil
}

func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// moved returns the error that a run ends with, given that of its end and how
// many files were not moved.
func (a *archiving) moved(err error, left int64) error {
	if err == nil && left > 0 {
		return fmt.Errorf("%s: %w", a.name, errNotAllMoved)
	}
	return err
}

var errNotAllMoved = errors.New("not every file is on the other side")

// moving returns what the flags of a command that moves files ask for.
func (f archiveFlags) moving(c *call) (archive.Scope, Config, error) {
	scope, err := f.scope(c)
	if err != nil {
		return scope, Config{}, err
	}
	cfg, err := loadConfig(*f.config, c.lookupEnv)
	return scope, cfg, err
}
