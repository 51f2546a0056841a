package main

import (
	"bytes"
	"log/slog"
	"math"
	"os/signal"
	"syscall"
	"time"

	"orthanc-bucketfs/cmd/internal/logqueue"
)

const (
	// lastWords is how long the end of a mount waits for whoever reads the log.
	lastWords = 3 * time.Second
	// forEver is for commands whose work is done by then, and whose report is
	// what they were run for.
	forEver = time.Duration(math.MaxInt64)
)

// queueStderr puts a queue in front of standard error, which the logger that
// newLog makes writes to as well: from here on nobody waits for whoever reads
// it but, for at most patience, the end of the command.
func (c *call) queueStderr(l Log, patience time.Duration) {
	c.journal = isJournal(c.stderr, c.lookupEnv)
	c.queue, c.patience = logqueue.New(c.stderr, logqueue.Default(), dropNotice(l, c.journal)), patience
	c.stderr = c.queue
}

// serveStderr is queueStderr for a process that serves a mount. It does not end
// with the process that reads its log either: without this, Go ends a program
// by SIGPIPE that writes to a standard stream without a reader.
func (c *call) serveStderr(l Log) {
	signal.Ignore(syscall.SIGPIPE)
	c.queueStderr(l, lastWords)
}

// newLog returns a logger to standard error.
func (c *call) newLog(l Log, level *slog.LevelVar) *slog.Logger {
	return newLogger(c.stderr, l, level, c.journal)
}

// flushStderr waits for what has not been written yet.
func (c *call) flushStderr() {
	if c.queue != nil {
		c.queue.Close(c.patience)
	}
}

// dropNotice returns what makes the line that stands where lines were dropped,
// in the format of the others and whatever the level.
func dropNotice(l Log, journal bool) func(dropped uint64) []byte {
	return func(dropped uint64) []byte {
		var line bytes.Buffer
		log := newLogger(&line, Log{Level: "error", Format: l.Format}, new(slog.LevelVar), journal)
		log.Error("log lines are missing here: whoever reads the log did not take them", "lines", dropped)
		return line.Bytes()
	}
}
