package main

import (
	"io"
	"log/slog"
)

// newLogger returns the logger that l describes. It is made once and passed on.
func newLogger(w io.Writer, l Log) *slog.Logger {
	level, _ := parseLevel(l.Level)
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func parseLevel(name string) (level slog.Level, ok bool) {
	switch name {
	case "debug":
		return slog.LevelDebug, true
	case "info":
		return slog.LevelInfo, true
	case "warn":
		return slog.LevelWarn, true
	case "error":
		return slog.LevelError, true
	}
	return slog.LevelInfo, false
}
