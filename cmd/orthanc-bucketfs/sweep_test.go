package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

// cutOff is a bucket with uploads that were cut off.
type cutOff struct {
	backends.Bucket
	keys []string
	err  error
	age  time.Duration // that it was asked for
}

func (b *cutOff) Sweep(_ context.Context, age time.Duration, ours func(string) bool) (swept []backends.Leftover, err error) {
	b.age = age
	for _, key := range b.keys {
		if ours(key) {
			swept = append(swept, backends.Leftover{Key: key})
		}
	}
	return swept, b.err
}

func TestSweepKeepsToAttachments(t *testing.T) {
	const key = "12/34/12345678-1234-1234-1234-123456789abc"
	for root, want := range map[string]string{"": key, "hospital/ct": "hospital/ct/" + key} {
		b := &cutOff{Bucket: backendtest.NewMem(), err: errors.New("listing failed"),
			keys: []string{key, "hospital/ct/" + key, "hospital/ct2/" + key, "12/34/x", "hospital/ct/x", "12/35/12345678-1234-1234-1234-123456789abc"}}
		cfg := defaultConfig()
		cfg.RootPath = root
		cfg.Encryption.MaxConcurrentInputMiB = 7200
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		logger := slog.New(slog.NewTextHandler(&cancelling{&log, cancel}, nil))
		keepSwept(ctx, cfg, backends.WithPrefix(b, root), logger)
		if text := log.String(); strings.Count(text, "key=") != 1 || !strings.Contains(text, "key="+want+" ") || !strings.Contains(text, "listing failed") {
			t.Errorf("root_path %q: got log %s", root, text)
		}
		if want := 56*time.Hour + 10*time.Minute; b.age != want {
			t.Errorf("got age %v, want %v", b.age, want)
		}
	}
}

// cancelling ends a context with the first warning that is written.
type cancelling struct {
	log    *bytes.Buffer
	cancel func()
}

func (c *cancelling) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("level=WARN")) {
		c.cancel()
	}
	return c.log.Write(p)
}

func TestSweepLeavesAlone(t *testing.T) {
	b := &cutOff{Bucket: backendtest.NewMem()}
	cfg := defaultConfig()
	cfg.ReadOnly = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	keepSwept(ctx, cfg, b, slog.New(slog.DiscardHandler))
	if b.age != 0 {
		t.Error("a bucket that may only be read was swept")
	}
	keepSwept(t.Context(), defaultConfig(), b.Bucket, slog.New(slog.DiscardHandler)) // has nothing to sweep
}
