package main

import (
	"io"
	"log/slog"
)

// newLogger returns the logger that l describes. It is made once and passed on;
// what is set in level takes effect at once. For the journal, lines begin with
// their priority, and lines of text go without the time, which it has itself.
func newLogger(w io.Writer, l Log, level *slog.LevelVar, journal bool) *slog.Logger {
	first, _ := parseLevel(l.Level)
	level.Set(first)
	if journal {
		return slog.New(newJournalHandler(w, l.Format, level))
	}
	return slog.New(newHandler(w, l.Format, &slog.HandlerOptions{Level: level}))
}

func newHandler(w io.Writer, format string, options *slog.HandlerOptions) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
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
