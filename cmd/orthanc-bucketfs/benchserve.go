package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs"
)

// benchReady is what the child prints when its mount is up.
const benchReady = "ready\n"

// serveBench serves a mount for another process of bench until that closes its
// standard input, and prints how many requests it took. It is the daemon's own
// mount, with nothing local and a prefix of its own.
func serveBench(ctx context.Context, c *call, cfg Config, dir, scratch string) (err error) {
	cfg.Mountpoint, cfg.LocalDir, cfg.Owner = dir, "", ""
	cfg.RootPath, cfg.Log.Level = scratch, "warn"
	c.serveStderr(cfg.Log)
	log := c.newLog(cfg.Log, new(slog.LevelVar))
	cfg, fits := fitMemory(cfg, machineMemory())
	if fits.Err != nil {
		return fits.Err
	}
	_ = logFindings(log)(fits)
	count := new(requestCounter)
	s, err := openStack(ctx, cfg, log, hooks{request: []backends.Observer{count.observe}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	m, err := fs.New(fs.Options{
		Mountpoint: dir, Store: s.store, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()),
		Absence: fs.DefaultAbsence, Log: log,
	})
	if err != nil {
		return err
	}
	s.store.LearnNames(ctx)
	if _, err := io.WriteString(c.stdout, benchReady); err != nil {
		return errors.Join(err, m.Unmount())
	}
	_, err = io.Copy(io.Discard, c.stdin)
	if err = errors.Join(err, m.Unmount()); err != nil {
		return fmt.Errorf("ending the mount: %w", err)
	}
	return json.NewEncoder(c.stdout).Encode(count.n.Load())
}
