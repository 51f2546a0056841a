package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestLoggerLevels(t *testing.T) {
	levels := []string{"debug", "info", "warn", "error"}
	for i, name := range levels {
		logger := newLogger(&bytes.Buffer{}, Log{Level: name, Format: "text"}, new(slog.LevelVar), false)
		for k, other := range levels {
			level, ok := parseLevel(other)
			if !ok {
				t.Fatalf("%q is no level", other)
			}
			if got := logger.Enabled(context.Background(), level); got != (k >= i) {
				t.Errorf("level %s: %s enabled: %v", name, other, got)
			}
		}
	}
	if level, ok := parseLevel("info"); !ok || level != slog.LevelInfo {
		t.Errorf("info is %v", level)
	}
}

func TestLoggerFormats(t *testing.T) {
	var text, lines bytes.Buffer
	newLogger(&text, Log{Level: "info", Format: "text"}, new(slog.LevelVar), false).Info("hello", "key", "a b")
	if got := text.String(); !strings.HasSuffix(got, "level=INFO msg=hello key=\"a b\"\n") {
		t.Errorf("text: %q", got)
	}
	newLogger(&lines, Log{Level: "info", Format: "json"}, new(slog.LevelVar), false).Info("hello", "key", "a b")
	var record struct{ Msg, Key string }
	if err := json.Unmarshal(lines.Bytes(), &record); err != nil || record.Msg != "hello" || record.Key != "a b" {
		t.Errorf("json: %q, %v", lines.String(), err)
	}
}
