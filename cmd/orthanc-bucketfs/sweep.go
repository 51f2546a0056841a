package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/attachment"
)

const (
	sweepInterval = 24 * time.Hour

	// sweepMargin is added to the longest commit that this configuration allows
	// for the sake of machines that share the bucket and allow longer ones.
	sweepMargin = 24 * time.Hour
)

// keepSwept gives up uploads that were cut off, as by the death of a daemon, at
// once and then once a day, until ctx ends.
func keepSwept(ctx context.Context, cfg Config, bucket backends.Bucket, log *slog.Logger) {
	sweeper, ok := backends.As[backends.Sweeper](bucket)
	if !ok || cfg.ReadOnly {
		return
	}
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		sweep(ctx, cfg, sweeper, log)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweep leaves alone what may still be under way, and what is not under the key
// of an attachment.
func sweep(ctx context.Context, cfg Config, sweeper backends.Sweeper, log *slog.Logger) {
	age := sweepMargin + attachment.DefaultTiming().Commit.For(cfg.Encryption.MaxConcurrentInputMiB<<20)
	swept, err := sweeper.Sweep(ctx, age, func(key string) bool {
		if cfg.RootPath != "" {
			below, ok := strings.CutPrefix(key, cfg.RootPath+"/")
			if !ok {
				return false
			}
			key = below
		}
		_, ok := attachment.ParseKey(key)
		return ok
	})
	for _, left := range swept {
		log.Info("an upload that was cut off is given up; nobody was told that the file is stored", "key", left.Key, "begun", left.Begun)
	}
	if err != nil && ctx.Err() == nil {
		log.Warn("uploads that were cut off may be left in the bucket, unseen and paid for", "error", err,
			"advice", "mend this, or let a lifecycle rule of the bucket abort incomplete multipart uploads")
	}
}
