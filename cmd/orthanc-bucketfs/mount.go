package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"orthanc-bucketfs/fs"
)

// drainPatience is how long a stop waits for files that are being written.
const drainPatience = 80 * time.Second

func mountCommand() command {
	return command{
		name:    "mount",
		summary: "mount the bucket and serve it until SIGTERM or SIGINT",
		details: `Runs in the foreground and logs to standard error. The line with msg=ready comes
when a round trip to the bucket has succeeded and the mount is up. To stop, it
refuses new files, finishes the commits in flight and unmounts; a second signal
ends it at once.`,
		run: mount,
	}
}

func mount(ctx context.Context, c *call) error {
	flags := c.flagSet()
	file := addConfigFlag(flags)
	if _, err := c.parse(flags); err != nil {
		return err
	}
	cfg, err := loadConfig(*file, c.lookupEnv)
	if err != nil {
		return err
	}
	log := newLogger(c.stderr, cfg.Log)
	systemd := supervisor{log}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s, err := openStack(ctx, cfg, log)
	if err == nil {
		err = errors.Join(mountStack(ctx, cfg, s, systemd, stop), s.close())
	}
	if err != nil {
		systemd.status("failed: " + err.Error())
	}
	return err
}

// mountStack returns when the mount has ended. It calls stopping as soon as
// the end begins.
func mountStack(ctx context.Context, cfg Config, s *stack, systemd supervisor, stopping func()) error {
	log := systemd.log
	systemd.status("trying " + s.bucket.String())
	if err := cleanMountpoint(cfg.Mountpoint, log); err != nil {
		return err
	}
	list := &checklist{report: logFindings(log)}
	list.preflight(ctx, cfg, s)
	if err := list.err(); err != nil {
		return err
	}
	if cfg.Encryption.AcceptPlaintext {
		log.Warn("accept_plaintext is on: objects that are not sealed are shown as they are, also those that somebody else puts " +
			"into the bucket; remove it when all are sealed")
	}
	m, err := startMount(cfg, s, log)
	if err != nil {
		return err
	}
	logReady(cfg, s, log)
	systemd.ready("serving " + s.bucket.String() + " on " + cfg.Mountpoint)
	watched, unwatch := context.WithCancel(ctx)
	var sweeping sync.WaitGroup
	defer sweeping.Wait()
	defer unwatch()
	systemd.feedWatchdog(watched, cfg.Mountpoint)
	sweeping.Go(func() { keepSwept(watched, cfg, s.bucket, log) })
	ended := make(chan struct{})
	go func() {
		m.Wait()
		close(ended)
	}()
	select {
	case <-ctx.Done():
		stopping()
		systemd.stopping("finishing the files that are being written")
		return stopMount(m, log)
	case <-ended:
		return fmt.Errorf("%s was unmounted by somebody else", cfg.Mountpoint)
	}
}

func startMount(cfg Config, s *stack, log *slog.Logger) (*fs.Mount, error) {
	uid, gid, err := resolveOwner(cfg.Owner)
	if err != nil {
		return nil, err
	}
	return fs.New(fs.Options{
		Mountpoint: cfg.Mountpoint,
		Store:      s.store,
		UID:        uid,
		GID:        gid,
		LocalDir:   cfg.LocalDir,
		ReadOnly:   cfg.ReadOnly,
		Absence:    fs.DefaultAbsence,
		Log:        log,
	})
}

func logReady(cfg Config, s *stack, log *slog.Logger) {
	log.Info("ready", "mountpoint", cfg.Mountpoint, "bucket", s.bucket.String(), "root_path", cfg.RootPath,
		"encryption", describeKeys(s.keys), "budget_mib", cfg.Encryption.MaxConcurrentInputMiB,
		"read_only", cfg.ReadOnly, "version", version)
}

// stopMount lets what is being written end, then unmounts. An error means that
// files were cut off; nobody was told that they are stored.
func stopMount(m *fs.Mount, log *slog.Logger) error {
	log.Info("stopping: new files are refused, those being written are finished")
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	err := m.Drain(ctx)
	if err != nil {
		err = fmt.Errorf("files were still being written after %s and are given up: %w", drainPatience, err)
	}
	if busy := m.Unmount(); busy != nil {
		log.Warn("unmounting: "+busy.Error(), "advice", "stop Orthanc before this daemon")
	}
	log.Info("stopped")
	return err
}
