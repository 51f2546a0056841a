package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs"
)

// sampleSize is how many attachments are opened to see whether the keys fit.
const sampleSize = 5

// finding is the outcome of one item of the checklist.
type finding struct {
	item   string
	detail string // what was found to be in order
	err    error
}

// preflight examines, item by item, what a mount of cfg needs. Every item is
// essential: mount does not become ready while one of them fails.
func preflight(ctx context.Context, cfg Config, s *stack) []finding {
	return []finding{
		checkOwner(cfg),
		checkRoundTrip(ctx, cfg, s),
		checkSample(ctx, s),
		checkFUSE(),
		checkLocalDir(cfg),
		checkFallback(cfg),
		checkMountpoint(cfg),
	}
}

func checkOwner(cfg Config) finding {
	uid, gid, err := resolveOwner(cfg.Owner)
	if err != nil {
		err = cfg.fault("owner", err, "")
	}
	return finding{"owner", fmt.Sprintf("uid %d, gid %d", uid, gid), err}
}

func checkRoundTrip(ctx context.Context, cfg Config, s *stack) finding {
	if cfg.ReadOnly {
		_, err := s.store.Dirs(ctx)
		return finding{"bucket", s.bucket.String() + " can be listed (read_only: nothing was stored)", err}
	}
	detail := s.bucket.String() + " stores, refuses to overwrite, reads, lists and deletes"
	return finding{"bucket", detail, s.store.Probe(ctx)}
}

func checkSample(ctx context.Context, s *stack) finding {
	opened, failures, err := s.store.Sample(ctx, sampleSize)
	switch {
	case err != nil:
	case opened == 0 && len(failures) == 0:
		return finding{"existing files", "none yet", nil}
	case opened == 0:
		err = fmt.Errorf("none of %d opens with the configured keys: %w", len(failures), errors.Join(failures...))
	}
	detail := fmt.Sprintf("%d of %d open with the configured keys", opened, opened+len(failures))
	for _, f := range failures {
		detail += fmt.Sprintf("; DAMAGED: %v", f)
	}
	return finding{"existing files", detail, err}
}

func checkFUSE() finding { return finding{"FUSE", "available", fs.Mountable()} }

func checkLocalDir(cfg Config) finding {
	if cfg.LocalDir == "" {
		return finding{"local_dir", "not set: files that are not attachments are refused", nil}
	}
	info, err := os.Stat(cfg.LocalDir)
	if err == nil && !info.IsDir() {
		err = errors.New("is not a directory")
	}
	if err != nil {
		err = cfg.fault("local_dir", err, "create the directory, for Orthanc's user, or name another")
	}
	return finding{"local_dir", cfg.LocalDir, err}
}

// checkFallback tells what opening the stack has found in order.
func checkFallback(cfg Config) finding {
	if cfg.FallbackDir == "" {
		return finding{"fallback_dir", "not set: what is not in the bucket does not exist", nil}
	}
	return finding{"fallback_dir", cfg.FallbackDir + ": plain files of before the bucket, shown where the bucket has none", nil}
}

// describeKeys says what seals new files.
func describeKeys(ring *crypto.KeyRing) string {
	if ring == nil {
		return "OFF: files are stored as plaintext"
	}
	var keys []string
	for _, k := range ring.Keys() {
		text := fmt.Sprintf("key %d (fingerprint %s)", k.ID(), k.Fingerprint())
		if end := k.NotAfter(); !end.IsZero() {
			text += " for what was stored until " + end.Format(time.RFC3339)
		}
		keys = append(keys, text)
	}
	return "seals with " + strings.Join(keys, "; opens also ")
}

// failures joins the errors of all findings, each under its item's name.
func failures(findings []finding) error {
	var errs []error
	for _, f := range findings {
		if f.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.item, f.err))
		}
	}
	return errors.Join(errs...)
}
