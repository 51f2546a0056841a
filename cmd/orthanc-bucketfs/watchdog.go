package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// feedWatchdog feeds systemd's watchdog (WatchdogSec=) until ctx ends, once for
// each time the mount has answered. A mount that hangs is not fed, whatever the
// rest of the process does. It asks four times before systemd loses patience.
func (s supervisor) feedWatchdog(ctx context.Context, mountpoint string) {
	patience, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.log.Warn("systemd's watchdog is not fed", "error", err)
	}
	if patience == 0 {
		return
	}
	go func() {
		interval := time.NewTicker(patience / 4)
		defer interval.Stop()
		for ctx.Err() == nil {
			s.feedOnce(ctx, mountpoint, patience/4)
			select {
			case <-interval.C:
			case <-ctx.Done():
			}
		}
	}()
}

func (s supervisor) feedOnce(ctx context.Context, mountpoint string, timeout time.Duration) {
	asking, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := askMount(asking, mountpoint)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.log.Error("the mount does not answer: if that lasts, systemd ends this daemon", "error", err)
	default:
		s.send(daemon.SdNotifyWatchdog)
	}
}

// askMount returns when the daemon behind a mount has answered. The kernel
// never answers statfs in its place, as it may do with stat.
//
// It is a child that asks. This process must not: one of its threads that waits
// for an answer which never comes cannot be killed, and would keep the whole
// process, and with it the connection to the kernel, from ending.
func askMount(ctx context.Context, mountpoint string) error {
	cmd := exec.CommandContext(ctx, "stat", "--file-system", "--format=%T", mountpoint)
	cmd.Env = []string{"LC_ALL=C"}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("stat --file-system %s: %w", mountpoint, err)
	}
	return nil
}
