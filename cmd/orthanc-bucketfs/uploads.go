package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"orthanc-bucketfs/fs/unsettled"
)

// openUploads opens the journal of what this mount is storing and deleting, which the
// next start goes on with after a crash. Without a usable state_dir there is none, and
// that is warned of.
func openUploads(cfg Config, log *slog.Logger) (*unsettled.Journal, error) {
	if cfg.StateDir == "" || cfg.ReadOnly {
		return nil, nil
	}
	j, doubtful, err := openJournalIn(cfg, uploadsName(cfg))
	switch {
	case errors.Is(err, unsettled.ErrInUse):
		return nil, fmt.Errorf("%s: a bucket is mounted there already, or is about to be: stop the daemon that serves it first: %w", cfg.Mountpoint, err)
	case err != nil:
		log.Warn("uploads and deletes that a crash cuts off will not be cleaned up: let state_dir be a directory that this daemon can write to", "error", err)
		return nil, nil
	case doubtful > 0:
		log.Warn("files were being stored or deleted when the machine went down; whether Orthanc knows them cannot be told, so nothing is deleted", "files", doubtful)
	}
	return j, nil
}

func openJournalIn(cfg Config, name string) (*unsettled.Journal, int, error) {
	if err := cfg.handed.refusal(cfg.StateDir); err != nil {
		return nil, 0, err
	}
	dir := cfg.at(cfg.StateDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, 0, err
	}
	return unsettled.OpenJournal(filepath.Join(dir, name))
}

// uploadsName is another one for each mount point, bucket and root path: what is
// noted of one bucket must never be looked for in another.
func uploadsName(cfg Config) string {
	h := sha256.New()
	for _, s := range []string{
		cfg.Mountpoint, cfg.Backend, cfg.RootPath, cfg.Dir.Path, cfg.S3.Endpoint, cfg.S3.Bucket,
		cfg.Azure.AccountURL, cfg.Azure.Container, cfg.GCS.Endpoint, cfg.GCS.Bucket,
	} {
		fmt.Fprintf(h, "%q", s)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]) + ".uploads"
}
