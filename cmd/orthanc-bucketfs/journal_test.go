package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestJournalLinesHaveTheirPriority(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log := newLogger(&out, Log{Level: "debug", Format: format}, new(slog.LevelVar), true)
		log.Debug("one")
		log.With("a", 1).Info("two")
		log.WithGroup("g").Warn("three", "b", 2)
		log.Error("four")
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		for i, want := range []string{"<7>", "<6>", "<4>", "<3>"} {
			if len(lines) != 4 || !strings.HasPrefix(lines[i], want) {
				t.Fatalf("%s: line %d does not begin with %s:\n%s", format, i, want, &out)
			}
		}
		if got := strings.Contains(out.String(), "time"); got != (format == "json") {
			t.Errorf("%s: the time is there: %v", format, got)
		}
	}
}

func TestJournalIsTheVeryFile(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	stream := fmt.Sprintf("%d:%d", st.Dev, st.Ino)
	env := func(value string) func(string) (string, bool) {
		return func(string) (string, bool) { return value, value != "" }
	}
	if !isJournal(file, env(stream)) {
		t.Error("the journal is not recognised")
	}
	if isJournal(file, env("1:2")) || isJournal(file, env("")) || isJournal(&bytes.Buffer{}, env(stream)) {
		t.Error("something else is taken for the journal")
	}
}

func TestLevelCanBeChanged(t *testing.T) {
	for _, journal := range []bool{false, true} {
		var out bytes.Buffer
		level := new(slog.LevelVar)
		log := newLogger(&out, Log{Level: "warn", Format: "text"}, level, journal)
		log.Info("before")
		level.Set(slog.LevelInfo)
		log.Info("after")
		if got := out.String(); strings.Contains(got, "before") || !strings.Contains(got, "after") {
			t.Errorf("journal %v: got %q", journal, got)
		}
	}
}
