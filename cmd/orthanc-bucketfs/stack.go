package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/azure"
	"orthanc-bucketfs/backends/dir"
	"orthanc-bucketfs/backends/gcs"
	"orthanc-bucketfs/backends/s3"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
	"orthanc-bucketfs/fs/unsettled"
)

// budgetPatience is how long a file waits for memory before it is refused.
const budgetPatience = time.Minute

// stack is what a command needs to work on the attachments of a bucket.
type stack struct {
	store  *attachment.Store
	bucket backends.Bucket
	budget *budget.Budget
	keys   *keys
	away   func() (read, write bool) // what is refused because the bucket does not answer

	closers []io.Closer
}

// keys holds the key ring in use: none without encryption. It may be replaced.
type keys = atomic.Pointer[crypto.KeyRing]

// hooks are told of what a stack does, or note it. The zero hooks are none.
type hooks struct {
	request   []backends.Observer
	operation func(attachment.Operation)
	uploads   *unsettled.Journal // or nil
	breaker   bool               // calls fail at once while a cloud is away
}

// openStack wires configuration, keys, bucket and budget together. What is
// wrong with keys or the settings of a cloud is *configError.
func openStack(ctx context.Context, cfg Config, log *slog.Logger, h hooks) (*stack, error) {
	codec, keys, err := openCodec(cfg)
	if err != nil {
		return nil, err
	}
	bucket, closer, err := openBucket(ctx, cfg, h.request...)
	if err != nil {
		return nil, err
	}
	return newStack(cfg, codec, keys, bucket, closer, log, h)
}

// newStack wires what has been opened together, and opens fallback_dir. Without
// a codec only its bucket can be used.
func newStack(cfg Config, codec attachment.Codec, keys *keys, bucket backends.Bucket, closer io.Closer, log *slog.Logger, h hooks) (*stack, error) {
	layout, _ := parseLayout(cfg.Layout)
	s := &stack{
		bucket:  backends.WithPrefix(bucket, cfg.RootPath),
		budget:  budget.New(cfg.Encryption.MaxConcurrentInputMiB<<20, budgetPatience),
		keys:    keys,
		away:    func() (read, write bool) { return false, false },
		closers: []io.Closer{closer},
	}
	if h.breaker && cfg.Backend != "dir" {
		b := withBreaker(s.bucket, codec, log)
		s.bucket, s.away, s.closers = b, b.Away, []io.Closer{b, closer}
	}
	fallback, err := s.openFallback(cfg)
	if err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	s.store = attachment.NewStore(attachment.Options{
		Bucket: s.bucket,
		Layout: layout,
		Codec:  codec,
		Budget: s.budget,
		Log:    log,
		Timing: attachment.DefaultTiming(),

		Journal: h.uploads,

		Observe: h.operation,

		AcceptPlaintext: cfg.Encryption.AcceptPlaintext,
		SoleWriter:      cfg.SoleWriter && !cfg.ReadOnly,
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
func openBucket(ctx context.Context, cfg Config, observe ...backends.Observer) (backends.Bucket, io.Closer, error) {
	switch cfg.Backend {
	case "s3":
		bucket, err := s3.Open(ctx, cfg.S3, observe...)
		return bucket, io.NopCloser(nil), cfg.settingsFault("s3", err)
	case "azure":
		bucket, err := azure.Open(ctx, cfg.Azure, observe...)
		return bucket, bucket, cfg.settingsFault("azure", err)
	case "gcs":
		bucket, err := gcs.Open(ctx, cfg.GCS, observe...)
		return bucket, bucket, cfg.settingsFault("gcs", err)
	default:
		bucket, err := dir.OpenAs(cfg.Dir.Path, cfg.at(cfg.Dir.Path))
		return observed(bucket, observe), bucket, err
	}
}

// observed is for buckets that make no requests which could be observed.
func observed(b backends.Bucket, observe []backends.Observer) backends.Bucket {
	for _, o := range observe {
		b = backends.Observed(b, o)
	}
	return b
}

// settingsFault makes err a fault of a section, unless it is the store's.
func (c Config) settingsFault(section string, err error) error {
	var store *backends.Error
	if err == nil || errors.As(err, &store) {
		return err
	}
	return c.fault(section, err, "")
}

func openCodec(cfg Config) (attachment.Codec, *keys, error) {
	held := new(keys)
	if !cfg.Encryption.Enable {
		return attachment.Plain(), held, nil
	}
	ring, err := cfg.keyRing()
	if err != nil {
		return nil, held, err
	}
	held.Store(ring)
	return attachment.SealedBy(held.Load), held, nil
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
