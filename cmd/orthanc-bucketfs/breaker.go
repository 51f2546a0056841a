package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/breaker"
	"orthanc-bucketfs/fs/attachment"
)

// withBreaker returns b with a circuit breaker: Orthanc is told within a second
// that a cloud is away, once that is known. The probe that writes seals what it
// stores, and deletes it again.
func withBreaker(b backends.Bucket, codec attachment.Codec, log *slog.Logger) *breaker.Bucket {
	key := attachment.ProbePrefix + "writable-" + rand.Text()
	return breaker.New(b, breaker.Options{
		ProbeRead: func(ctx context.Context) error {
			_, err := b.List(ctx, backends.ListOptions{Shallow: true, Limit: 1})
			return err
		},
		ProbeWrite: func(ctx context.Context) error { return attachment.ProbeWrite(ctx, b, codec, key) },
		Patience:   5 * time.Second,
		Pause:      500 * time.Millisecond,
		Wait:       time.Second,
		Log:        log,
	})
}
