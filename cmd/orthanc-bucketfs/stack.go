package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/azure"
	"orthanc-bucketfs/backends/dir"
	"orthanc-bucketfs/backends/gcs"
	"orthanc-bucketfs/backends/s3"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

// budgetPatience is how long a file waits for memory before it is refused.
const budgetPatience = time.Minute

// stack is what a command needs to work on the attachments of a bucket.
type stack struct {
	store  *attachment.Store
	bucket backends.Bucket
	keys   *crypto.KeyRing // nil without encryption

	closers []io.Closer
}

// openStack wires configuration, keys, bucket and budget together. What is
// wrong with keys or the settings of a cloud is *configError.
func openStack(ctx context.Context, cfg Config, log *slog.Logger) (*stack, error) {
	codec, keys, err := openCodec(cfg)
	if err != nil {
		return nil, err
	}
	bucket, closer, err := openBucket(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return newStack(cfg, codec, keys, bucket, closer, log)
}

// newStack wires what has been opened together, and opens fallback_dir. Without
// a codec only its bucket can be used.
func newStack(cfg Config, codec attachment.Codec, keys *crypto.KeyRing, bucket backends.Bucket, closer io.Closer, log *slog.Logger) (*stack, error) {
	layout, _ := parseLayout(cfg.Layout)
	s := &stack{bucket: backends.WithPrefix(bucket, cfg.RootPath), keys: keys, closers: []io.Closer{closer}}
	fallback, err := s.openFallback(cfg)
	if err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	s.store = attachment.NewStore(attachment.Options{
		Bucket: s.bucket,
		Layout: layout,
		Codec:  codec,
		Budget: budget.New(cfg.Encryption.MaxConcurrentInputMiB<<20, budgetPatience),
		Log:    log,
		Timing: attachment.DefaultTiming(),

		AcceptPlaintext: cfg.Encryption.AcceptPlaintext,
		Fallback:        fallback,
	})
	return s, nil
}

func parseLayout(name string) (layout attachment.Layout, ok bool) {
	switch name {
	case "legacy":
		return attachment.Legacy, true
	case "flat":
		return attachment.Flat, true
	}
	return 0, false
}

// openBucket is the one place that knows the backends by name.
func openBucket(ctx context.Context, cfg Config) (backends.Bucket, io.Closer, error) {
	switch cfg.Backend {
	case "s3":
		bucket, err := s3.Open(ctx, cfg.S3)
		return bucket, io.NopCloser(nil), cfg.settingsFault("s3", err)
	case "azure":
		bucket, err := azure.Open(ctx, cfg.Azure)
		return bucket, bucket, cfg.settingsFault("azure", err)
	case "gcs":
		bucket, err := gcs.Open(ctx, cfg.GCS)
		return bucket, bucket, cfg.settingsFault("gcs", err)
	default:
		bucket, err := dir.Open(cfg.Dir.Path)
		return bucket, bucket, err
	}
}

// settingsFault makes err a fault of a section, unless it is the store's.
func (c Config) settingsFault(section string, err error) error {
	var store *backends.Error
	if err == nil || errors.As(err, &store) {
		return err
	}
	return c.fault(section, err, "")
}

func openCodec(cfg Config) (attachment.Codec, *crypto.KeyRing, error) {
	if !cfg.Encryption.Enable {
		return attachment.Plain(), nil, nil
	}
	ring, err := cfg.keyRing()
	if err != nil {
		return nil, nil, err
	}
	return attachment.Sealed(ring), ring, nil
}

// close waits for what is under way and gives everything back.
func (s *stack) close() error {
	s.store.Close()
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
