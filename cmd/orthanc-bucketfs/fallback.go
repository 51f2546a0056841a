package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/dir"
)

// openFallback opens fallback_dir as a bucket of plain files, or returns nil if
// there is none. One that cannot be what it is said to be is refused: every
// image in it would look as if it were lost. That is no fault of the
// configuration, for it may be in place a moment later.
func (s *stack) openFallback(cfg Config) (backends.Bucket, error) {
	if cfg.FallbackDir == "" {
		return nil, nil
	}
	if err := examineFallback(cfg); err != nil {
		return nil, fmt.Errorf("fallback_dir %s: %w", cfg.FallbackDir, err)
	}
	bucket, err := dir.OpenAs(cfg.FallbackDir, cfg.at(cfg.FallbackDir))
	if err != nil {
		return nil, fmt.Errorf("fallback_dir: %w", err)
	}
	s.closers = append(s.closers, bucket)
	return bucket, nil
}

const adviceFallback = "mount or restore it, or remove fallback_dir if every file is in the bucket"

func examineFallback(cfg Config) error {
	d, err := os.Open(cfg.at(cfg.FallbackDir))
	if err != nil {
		return fmt.Errorf("%w: %s", withoutPath(err), adviceFallback)
	}
	defer d.Close()
	if _, err := d.Readdirnames(1); err != nil {
		if !errors.Is(err, io.EOF) {
			return withoutPath(err)
		}
		return errors.New("it is empty, as the mount point of a file system that is not mounted: mount it, or remove fallback_dir " +
			"if every file is in the bucket")
	}
	if err := unix.Access(cfg.at(cfg.FallbackDir), unix.W_OK); err != nil && !cfg.ReadOnly {
		return fmt.Errorf("it cannot be written to (%w), and deletes must reach it: allow it, or mount with read_only", err)
	}
	return nil
}
