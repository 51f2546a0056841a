package main

import (
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"orthanc-bucketfs/cmd/internal/logqueue"
)

const (
	waitingMessages = 64 // that systemd has not taken, at most
	farewell        = 2 * time.Second
)

// supervisor is told how the mount fares: systemd, by sd_notify(3). Where
// nobody listens, its methods do nothing. None of them waits for systemd, whose
// socket may be full.
type supervisor struct {
	log   *slog.Logger
	queue *logqueue.Queue // of messages, in front of notifySocket
}

func newSupervisor(log *slog.Logger) supervisor {
	limits := logqueue.Limits{Lines: waitingMessages, Bytes: waitingMessages << 10}
	return supervisor{log, logqueue.New(notifySocket{log}, limits, func(uint64) []byte { return nil })}
}

// close waits a moment for the last messages to be taken.
func (s supervisor) close() { s.queue.Close(farewell) }

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

func (s supervisor) send(state string) { _, _ = s.queue.Write([]byte(state)) }

// notifySocket sends a message with each Write.
type notifySocket struct{ log *slog.Logger }

func (n notifySocket) Write(state []byte) (int, error) {
	if len(state) == 0 {
		return 0, nil
	}
	_, err := daemon.SdNotify(false, string(state))
	if err != nil {
		n.log.Warn("cannot tell systemd how the mount fares", "error", err)
	}
	return len(state), err
}

// oneLine keeps what follows a line break from being another assignment.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", "; ") }
