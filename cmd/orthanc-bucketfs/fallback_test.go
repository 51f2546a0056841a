package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A fallback_dir that is not there, or looks as if it were not mounted, stops
// the start, and in a way that is worth another try.
func TestFallbackDirIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ path, want string }{
		{filepath.Join(dir, "none"), "mount or restore it"},
		{file, "not a directory"},
		{t.TempDir(), "not mounted"},
	} {
		cfg := validConfig()
		cfg.Encryption.Enable = false
		cfg.Dir.Path, cfg.FallbackDir = t.TempDir(), test.path
		_, err := openStack(t.Context(), cfg, slog.New(slog.DiscardHandler), hooks{})
		if err == nil || !strings.Contains(err.Error(), test.want) || exitCode(err) != exitFailed {
			t.Errorf("%s: %v, exit code %d", test.path, err, exitCode(err))
		}
	}
	cfg := validConfig()
	cfg.Encryption.Enable = false
	cfg.Dir.Path, cfg.FallbackDir = t.TempDir(), dir
	s, err := openStack(t.Context(), cfg, slog.New(slog.DiscardHandler), hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	cfg.FallbackDir = filepath.Join(dir, "none")
	if _, err := openStack(t.Context(), cfg, slog.New(slog.DiscardHandler), hooks{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
}
