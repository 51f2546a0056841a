package main

import (
	"fmt"
	"log/slog"
	"time"

	"orthanc-bucketfs/fs/attachment"
)

// operationLog returns a function that writes a line for every attachment that
// was stored, read or deleted. What failed has been logged where it failed.
func operationLog(log *slog.Logger) func(attachment.Operation) {
	return func(op attachment.Operation) {
		if op.Err != nil {
			return
		}
		took := slog.String("duration", op.Duration.Round(100*time.Microsecond).String())
		switch op.Kind {
		case attachment.Stored:
			log.Info("stored", "key", op.Key, "size", op.Size, took, "speed", speed(op))
		case attachment.Fetched:
			if op.FromMemory {
				log.Info("read again, from memory", "key", op.Key, "size", op.Size)
				return
			}
			log.Info("read", "key", op.Key, "size", op.Size, took, "speed", speed(op))
		case attachment.Deleted:
			log.Info("deleted", "key", op.Key, took)
		}
	}
}

// speed is for people.
func speed(op attachment.Operation) string {
	seconds := max(op.Duration.Seconds(), 1e-6)
	return fmt.Sprintf("%.1f MB/s", float64(op.Size)/1e6/seconds)
}
