package main

import (
	"io"
	"log/slog"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/dir"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

// budgetPatience is how long a file waits for memory before it is refused.
const budgetPatience = time.Minute

// stack is what a command needs to work on the attachments of a bucket.
type stack struct {
	store  *attachment.Store
	bucket backends.Bucket
	closer io.Closer
}

// openStack wires configuration, keys, bucket and budget together. Wrong keys
// are *configError.
func openStack(cfg Config, log *slog.Logger) (*stack, error) {
	codec, err := openCodec(cfg)
	if err != nil {
		return nil, err
	}
	bucket, err := dir.Open(cfg.Dir.Path)
	if err != nil {
		return nil, err
	}
	s := &stack{bucket: backends.WithPrefix(bucket, cfg.RootPath), closer: bucket}
	s.store = attachment.NewStore(attachment.Options{
		Bucket: s.bucket,
		Codec:  codec,
		Budget: budget.New(cfg.Encryption.MaxConcurrentInputMiB<<20, budgetPatience),
		Log:    log,
		Timing: attachment.DefaultTiming(),
	})
	return s, nil
}

func openCodec(cfg Config) (attachment.Codec, error) {
	if !cfg.Encryption.Enable {
		return attachment.Plain(), nil
	}
	ring, err := cfg.keyRing()
	if err != nil {
		return nil, err
	}
	return attachment.Sealed(ring), nil
}

// close waits for what is under way and gives everything back.
func (s *stack) close() error {
	s.store.Close()
	return s.closer.Close()
}
