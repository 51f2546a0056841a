package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/progress"
	"orthanc-bucketfs/fs/archive"
	"orthanc-bucketfs/fs/attachment"
)

const defaultJobs = 8

// quietPause is the time between two lines on progress where there is no
// terminal.
const quietPause = 30 * time.Second

var errInterrupted = errors.New("interrupted: begin it again to go on")

// archiveFlags are the flags that all commands on a whole bucket have.
type archiveFlags struct {
	config *string
	prefix *string
	jobs   *int
	json   *bool
}

func addArchiveFlags(flags *flag.FlagSet) archiveFlags {
	return archiveFlags{
		config: addConfigFlag(flags),
		prefix: flags.String("prefix", "", "only objects whose keys, below root_path, begin with `PREFIX`, as in ab/"),
		jobs:   flags.Int("jobs", defaultJobs, fmt.Sprintf("work on `N` objects at a time; by default %d", defaultJobs)),
		json:   flags.Bool("json", false, "print one JSON object a line"),
	}
}

// scope returns the scope that the flags give.
func (f archiveFlags) scope(c *call) (archive.Scope, error) {
	if *f.jobs < 1 {
		return archive.Scope{}, usagef("%s: --jobs must be at least 1", c.name)
	}
	return archive.Scope{Prefix: *f.prefix, Jobs: *f.jobs}, nil
}

// archiving is one run of a command on a whole bucket.
type archiving struct {
	*call
	flags archiveFlags
	cfg   Config
	stack *stack

	mu      sync.Mutex // guards standard output and what follows
	share   *progress.Share
	looked  int64 // attachments
	began   time.Time
	written time.Time // the last line on progress
	broken  error     // of standard output
}

// archive runs work on the bucket of the configuration, until it is done or a
// signal comes. What the store can do is found out first.
func (c *call) archive(ctx context.Context, flags archiveFlags, work func(context.Context, *archiving) error) error {
	cfg, err := loadConfig(*flags.config, c.lookupEnv)
	if err != nil {
		return err
	}
	examine := func(ctx context.Context, l *checklist, s *stack) { l.bucket(ctx, cfg, s) }
	return c.archiveIn(ctx, cfg, flags, examine, work)
}

// archiveIn runs work on the bucket of cfg, if examine finds nothing wrong.
func (c *call) archiveIn(ctx context.Context, cfg Config, flags archiveFlags, examine func(context.Context, *checklist, *stack),
	work func(context.Context, *archiving) error) (err error) {
	screen := c.stderr
	c.queueStderr(cfg.Log, forEver)
	log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg, fits := fitMemory(cfg, machineMemory())
	if fits.Err != nil {
		return fits.Err
	}
	_ = logFindings(log)(fits)
	_ = logFindings(log)(configurationFinding(*flags.config, cfg, nil))
	s, err := openStack(ctx, cfg, log, hooks{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	list := &checklist{report: func(backends.Finding) error { return nil }}
	examine(ctx, list, s)
	if err := list.err(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	now := time.Now()
	a := &archiving{call: c, flags: flags, cfg: cfg, stack: s, began: now, written: now, share: progress.NewShare(screen, c.name)}
	err = work(ctx, a)
	a.share.End()
	if ctx.Err() != nil {
		err = errInterrupted
	}
	return errors.Join(err, a.broken)
}

// failed prints an object that something is wrong with.
func (a *archiving) failed(f archive.Failure) {
	a.mu.Lock()
	defer a.mu.Unlock()
	state, reason := stateOfFailure(f), backends.Printable(f.Err.Error())
	if !*a.flags.json {
		a.print("%s: %s: %s\n", state, f.Key, reason)
		return
	}
	a.printJSON(map[string]string{"state": state, "key": f.Key, "etag": backends.Printable(f.Version), "key_id": f.KeyID(), "reason": reason})
}

func stateOfFailure(f archive.Failure) string {
	switch {
	case f.Bad():
		return "bad"
	case errors.Is(f.Err, archive.ErrDifferent):
		return "different"
	case errors.Is(f.Err, archive.ErrUnsettled):
		return "left"
	case errors.Is(f.Err, archive.ErrOrphan):
		return "deleted"
	}
	return "unreachable"
}

func (a *archiving) print(format string, args ...any) {
	if _, err := fmt.Fprintf(a.stdout, format, args...); err != nil && a.broken == nil {
		a.broken = err
	}
}

func (a *archiving) printJSON(v any) {
	if err := json.NewEncoder(a.stdout).Encode(v); err != nil && a.broken == nil {
		a.broken = err
	}
}

// done shows how far the work is. UUIDs are random, so that the place of one
// among all tells the share.
func (a *archiving) done(r attachment.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looked++
	now := time.Now()
	rate := float64(a.looked) / max(now.Sub(a.began).Seconds(), 1e-3)
	label := fmt.Sprintf("%s: %d files, %.0f/s", a.name, a.looked, rate)
	a.share.Reach(shareOf(r.UUID, *a.flags.prefix), label)
	if now.Sub(a.written) >= quietPause {
		a.written = now
		if !a.share.Shown() {
			fmt.Fprintf(a.stderr, "%s, at %s\n", label, r.Object.Key)
		}
	}
}

// shareOf returns the place of u, in steps of progress.ShareSteps, among the
// UUIDs that prefix selects.
func shareOf(u attachment.UUID, prefix string) int {
	const digits = 4
	var hex strings.Builder
	for _, c := range prefix {
		if c != '/' && c != '-' && hex.Len() < digits {
			hex.WriteRune(c)
		}
	}
	first, err := strconv.ParseUint((hex.String() + "0000")[:digits], 16, 16)
	if err != nil {
		return 0
	}
	span := progress.ShareSteps >> (4 * hex.Len())
	return (int(u[0])<<8 | int(u[1]) - int(first) + 1) * progress.ShareSteps / max(span, 1)
}

// summary prints the end of a report: text, or v as JSON.
func (a *archiving) summary(v any, format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if *a.flags.json {
		a.printJSON(v)
		return
	}
	a.print(format, args...)
}
