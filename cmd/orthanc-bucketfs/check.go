package main

import (
	"context"
	"errors"
	"log/slog"
	"os/signal"
	"syscall"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/attachment"
)

func checkCommand() command {
	return command{
		name:    "check",
		summary: "verify everything that mount needs, and mount nothing",
		details: `Prints a checklist, one line an item: "ok"; "WARN", which does not stop mount;
"FAIL", which does; "skip", which could not be examined because of another item.
It stores, reads and deletes objects of its own in the bucket, unless read_only
is set, and opens a few existing ones. Exits with 1 if any item fails.`,
		run: check,
	}
}

var (
	// errCheckFailed is all that is left to say after the checklist.
	errCheckFailed      = errors.New("check: not everything is in order")
	errCheckInterrupted = errors.New("check: interrupted before the end of the list")
)

func check(ctx context.Context, c *call) error {
	flags := c.flagSet()
	file := addConfigFlag(flags)
	asJSON := flags.Bool("json", false, "print one JSON object a line, with state, item and text")
	if _, err := c.parse(flags); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	list := &checklist{report: printText(c.stdout)}
	if *asJSON {
		list.report = printJSON(c.stdout)
	}
	list.examine(ctx, *file, c.lookupEnv)
	switch {
	case list.broken != nil:
		return list.broken
	case ctx.Err() != nil:
		return errCheckInterrupted
	case list.err() != nil:
		return errCheckFailed
	}
	return nil
}

// examine goes as far as what it has found allows.
func (l *checklist) examine(ctx context.Context, file string, lookupEnv func(string) (string, bool)) {
	cfg, err := loadConfig(file, lookupEnv)
	l.add(configurationFinding(file, cfg, err))
	if err != nil {
		l.skip("configuration", "everything else")
		return
	}
	l.add(trustFindings(file, cfg)...)
	cfg, fits := fitMemory(cfg, machineMemory())
	codec, keys, err := openCodec(cfg)
	l.add(keyFindings(cfg, keys.Load(), err)...)
	s, failed := l.open(ctx, cfg, codec, keys)
	switch {
	case failed != "":
		l.skip(failed, itemRoundTrip, itemExisting)
	case err != nil:
		l.bucket(ctx, cfg, s)
		l.skip(itemKeys, itemRoundTrip, itemExisting)
	default:
		l.store(ctx, cfg, s)
	}
	l.machine(cfg)
	l.add(checkUser(cfg))
	l.add(fits, adviceForOrthanc())
	if s == nil {
		return
	}
	if err := s.close(); err != nil {
		l.add(backends.Finding{Item: itemBucket, Err: err})
	}
}

// open returns the stack, or the item that has failed.
func (l *checklist) open(ctx context.Context, cfg Config, codec attachment.Codec, keys *keys) (s *stack, failed string) {
	bucket, closer, err := openBucket(ctx, cfg)
	if err != nil {
		l.add(backends.Finding{Item: itemBucket, Err: err})
		return nil, itemBucket
	}
	s, err = newStack(cfg, codec, keys, bucket, closer, slog.New(slog.DiscardHandler), hooks{})
	if err != nil {
		l.add(backends.Finding{Item: itemFallback, Err: err})
		return nil, itemFallback
	}
	return s, ""
}
