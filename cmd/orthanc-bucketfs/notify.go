package main

import (
	"log/slog"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
)

// supervisor is told how the mount fares: systemd, by sd_notify(3). Where
// nobody listens, its methods do nothing.
type supervisor struct{ log *slog.Logger }

// status sets what 'systemctl status' shows beside the state of the unit.
func (s supervisor) status(text string) { s.send("STATUS=" + oneLine(text)) }

// ready says that the mount is up.
func (s supervisor) ready(text string) { s.send(daemon.SdNotifyReady + "\nSTATUS=" + oneLine(text)) }

// stopping says that the end has begun, and what it waits for.
func (s supervisor) stopping(text string) {
	s.send(daemon.SdNotifyStopping + "\nSTATUS=" + oneLine(text))
}

// reloading and reloaded are around what SIGHUP asks for.
func (s supervisor) reloading() { s.send(daemon.SdNotifyReloading) }

func (s supervisor) reloaded() { s.send(daemon.SdNotifyReady) }

func (s supervisor) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("cannot tell systemd how the mount fares", "error", err)
	}
}

// oneLine keeps what follows a line break from being another assignment.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", "; ") }
