package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"orthanc-bucketfs/cmd/internal/probe"
)

// vitals is the question whether the daemon serves its mount. Neither a bucket
// that is away nor a log that nobody reads keeps it from being answered: there
// the mount is well, and a restart would mend nothing.
func (m *mounting) vitals(ctx context.Context, s *stack) *probe.Probe {
	return probe.New(func() error {
		m.queue.Waiting()
		s.budget.Usage() // returns unless whoever needs memory hangs
		return m.vital(ctx)
	})
}

// feedWatchdog feeds systemd's watchdog (WatchdogSec=) until ctx ends, once for
// each time the mount has answered. A mount that hangs is not fed, whatever the
// rest of the process does. It asks four times before systemd loses patience.
func (s supervisor) feedWatchdog(ctx context.Context, vitals *probe.Probe) {
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
			s.feedOnce(ctx, vitals, patience/4)
			select {
			case <-interval.C:
			case <-ctx.Done():
			}
		}
	}()
}

func (s supervisor) feedOnce(ctx context.Context, vitals *probe.Probe, timeout time.Duration) {
	asking, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := vitals.Check(asking)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.log.Error("the mount does not answer: if that lasts, systemd ends this daemon", "error", err)
	default:
		s.send(daemon.SdNotifyWatchdog)
	}
}

// askMount returns when the daemon behind a mount has answered twice: a statfs,
// and a lookup. The kernel never answers the former in its place, nor the latter
// of a name that is new every time. It is no attachment's name, so that it costs
// no request, and is answered while the bucket is away; with a local_dir it is
// looked for there.
//
// It is a child that asks. This process must not: one of its threads that waits
// for an answer which never comes cannot be killed, and would keep the whole
// process, and with it the connection to the kernel, from ending. Nor can the
// child be killed then, so whoever calls this must not wait for it.
func askMount(ctx context.Context, mountpoint string) error {
	if err := stat(ctx, "--file-system", "--format=%T", mountpoint); err != nil {
		return fmt.Errorf("stat --file-system %s: %w", mountpoint, err)
	}
	name := filepath.Join(mountpoint, "00", "00", "orthanc-bucketfs-watchdog-"+rand.Text())
	err := stat(ctx, "--format=%n", name)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return nil // there is no such file: that is an answer
	}
	return err
}

func stat(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "stat", args...)
	cmd.Env = []string{"LC_ALL=C"}
	return cmd.Run()
}
