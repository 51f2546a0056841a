package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs"
	"orthanc-bucketfs/fs/attachment"
)

const (
	sampleSize   = 5                // attachments that are opened to see whether the keys fit
	itemPatience = 30 * time.Second // for one item
	probeAge     = 24 * time.Hour   // from which on a probe's object cannot be one of a check under way
)

// Items that others refer to.
const (
	itemKeys      = "key files"
	itemBucket    = "bucket"
	itemRoundTrip = "round trip"
	itemLeftOver  = "left-over probes"
	itemExisting  = "existing files"
	itemFallback  = "fallback_dir"
)

// machine examines what mount needs of this machine.
func (l *checklist) machine(cfg Config) {
	l.add(checkOwner(cfg), checkFUSE(), checkLocalDir(cfg), checkMountpoint(cfg))
}

// store examines the bucket and what is in it.
func (l *checklist) store(ctx context.Context, cfg Config, s *stack) {
	if failed := l.bucket(ctx, cfg, s); failed != "" {
		l.skip(failed, itemRoundTrip, itemExisting)
		return
	}
	l.add(checkRoundTrip(ctx, cfg, s), checkLeftOver(ctx, cfg, s), checkSample(ctx, s), checkFallback(cfg))
}

// bucket examines the bucket as far as its provider knows how, and returns the
// item that failed.
func (l *checklist) bucket(ctx context.Context, cfg Config, s *stack) (failed string) {
	l.add(backends.Finding{Item: "store", Detail: s.bucket.String()})
	inspector, ok := backends.As[backends.Inspector](s.bucket)
	if !ok {
		return ""
	}
	scratch := ""
	if !cfg.ReadOnly {
		scratch = path.Join(cfg.RootPath, attachment.ProbePrefix+rand.Text())
	}
	findings := inspector.Inspect(ctx, scratch)
	l.add(findings...)
	return firstFailure(findings)
}

// keyFindings tells which keys seal and open, given what came of reading them.
func keyFindings(cfg Config, ring *crypto.KeyRing, err error) []backends.Finding {
	switch {
	case err != nil:
		return []backends.Finding{{Item: itemKeys, Err: err}}
	case ring == nil:
		return []backends.Finding{{Item: "encryption", Warning: describeKeys(nil)}}
	}
	paths := make(map[uint32]string)
	for _, file := range cfg.Encryption.keyFiles() {
		paths[uint32(*file.ID)] = file.Path
	}
	var findings []backends.Finding
	for i, key := range ring.Keys() {
		use := "opens what was sealed with it"
		if i == 0 {
			use = "seals new files"
		}
		if end := key.NotAfter(); !end.IsZero() {
			use += " until " + end.Format(time.RFC3339)
		}
		findings = append(findings, backends.Finding{
			Item:   fmt.Sprintf("key %d", key.ID()),
			Detail: fmt.Sprintf("%s, fingerprint %s, %s", paths[key.ID()], key.Fingerprint(), use),
		})
	}
	if cfg.Encryption.AcceptPlaintext {
		findings = append(findings, backends.Finding{
			Item:    "accept_plaintext",
			Warning: "on: objects that are not sealed are shown as they are; remove it when all are sealed",
		})
	}
	return findings
}

func checkOwner(cfg Config) backends.Finding {
	uid, gid, err := resolveOwner(cfg.Owner)
	if err != nil {
		err = cfg.fault("owner", err, "")
	}
	return backends.Finding{Item: "owner", Detail: fmt.Sprintf("uid %d, gid %d", uid, gid), Err: err}
}

func checkRoundTrip(ctx context.Context, cfg Config, s *stack) backends.Finding {
	ctx, cancel := context.WithTimeout(ctx, itemPatience)
	defer cancel()
	if cfg.ReadOnly {
		_, err := s.bucket.List(ctx, backends.ListOptions{Limit: 1})
		return backends.Finding{Item: itemRoundTrip, Detail: "can be listed (read_only: nothing was stored)", Err: err}
	}
	detail := "a file is sealed, stored, read back, opened and deleted"
	if s.keys.Load() == nil {
		detail = "a file is stored, read back and deleted"
	}
	return backends.Finding{Item: itemRoundTrip, Detail: detail, Err: s.store.Probe(ctx)}
}

// checkLeftOver deletes what probes that were killed have left behind.
func checkLeftOver(ctx context.Context, cfg Config, s *stack) backends.Finding {
	ctx, cancel := context.WithTimeout(ctx, itemPatience)
	defer cancel()
	n, err := s.store.SweepProbes(ctx, time.Now().Add(-probeAge), cfg.ReadOnly)
	found := backends.Finding{Item: itemLeftOver, Detail: "none"}
	switch {
	case err != nil:
		found.Warning = fmt.Sprintf("%v: delete what begins with %s by hand", err, path.Join(cfg.RootPath, attachment.ProbePrefix))
	case n > 0 && cfg.ReadOnly:
		found.Detail = fmt.Sprintf("%d; nothing is deleted with read_only", n)
	case n > 0:
		found.Detail = fmt.Sprintf("%d deleted: a check or a mount was killed", n)
	}
	return found
}

func checkSample(ctx context.Context, s *stack) backends.Finding {
	ctx, cancel := context.WithTimeout(ctx, itemPatience)
	defer cancel()
	opened, failures, err := s.store.Sample(ctx, sampleSize)
	found := backends.Finding{
		Item:   itemExisting,
		Detail: fmt.Sprintf("%d of %d open with the configured keys", opened, opened+len(failures)),
		Err:    err,
	}
	switch {
	case err != nil:
	case opened == 0 && len(failures) == 0:
		found.Detail = "none yet"
	case opened == 0:
		found.Err = fmt.Errorf("none of %d opens with the configured keys: %w", len(failures), errors.Join(failures...))
	case len(failures) > 0:
		found.Warning = fmt.Sprintf("DAMAGED: %v", errors.Join(failures...))
	}
	return found
}

func checkFUSE() backends.Finding {
	return backends.Finding{Item: "FUSE", Detail: "available", Err: fs.Mountable()}
}

const adviceLocalDir = "create the directory, for Orthanc's user, or name another"

func checkLocalDir(cfg Config) backends.Finding {
	const item = "local_dir"
	if cfg.LocalDir == "" {
		return backends.Finding{Item: item, Detail: "not set: files that are not attachments are refused"}
	}
	found := backends.Finding{Item: item, Detail: cfg.LocalDir}
	info, err := os.Stat(cfg.LocalDir)
	if err == nil && !info.IsDir() {
		err = errors.New("is not a directory")
	}
	const others = 0o002
	switch {
	case err != nil:
		found.Err = cfg.fault(item, err, adviceLocalDir)
	case info.Mode().Perm()&others != 0:
		found.Warning = "everybody can write to it: leave that to Orthanc's user alone"
	}
	return found
}

// checkFallback tells what opening the stack has found in order.
func checkFallback(cfg Config) backends.Finding {
	if cfg.FallbackDir == "" {
		return backends.Finding{Item: itemFallback, Detail: "not set: what is not in the bucket does not exist"}
	}
	return backends.Finding{Item: itemFallback, Detail: cfg.FallbackDir + ": plain files of before the bucket, shown where the bucket has none"}
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
