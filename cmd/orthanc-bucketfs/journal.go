package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
)

// isJournal tells whether w is connected to systemd's journal: JOURNAL_STREAM
// then names device and inode of the socket (systemd.exec(5)).
func isJournal(w io.Writer, lookupEnv func(string) (string, bool)) bool {
	stream, ok := lookupEnv("JOURNAL_STREAM")
	file, isFile := w.(*os.File)
	if !ok || !isFile {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	st := info.Sys().(*syscall.Stat_t)
	return stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// journalHandler writes every line with its priority in front, as in "<4>"
// (sd-daemon(3)), which the journal takes off again.
type journalHandler struct {
	slog.Handler // writes to line
	out          *journalLine
}

// journalLine is where a line is made before it is written.
type journalLine struct {
	mu   sync.Mutex // held while a line is made; guards line
	line bytes.Buffer
	to   io.Writer
}

func newJournalHandler(w io.Writer, format string, level slog.Leveler) slog.Handler {
	out := &journalLine{to: w}
	options := &slog.HandlerOptions{Level: level}
	if format == "text" {
		options.ReplaceAttr = withoutTime
	}
	return &journalHandler{newHandler(&out.line, format, options), out}
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.line.Reset()
	fmt.Fprintf(&h.out.line, "<%d>", priority(r.Level))
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.out.to.Write(h.out.line.Bytes())
	return err
}

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{h.Handler.WithAttrs(attrs), h.out}
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{h.Handler.WithGroup(name), h.out}
}

// priority is that of syslog(3).
func priority(level slog.Level) int {
	const errorPriority, warning, info, debug = 3, 4, 6, 7
	switch {
	case level >= slog.LevelError:
		return errorPriority
	case level >= slog.LevelWarn:
		return warning
	case level >= slog.LevelInfo:
		return info
	}
	return debug
}
