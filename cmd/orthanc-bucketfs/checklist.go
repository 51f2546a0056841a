package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"orthanc-bucketfs/backends"
)

// checklist hands on findings as they come, and keeps what has failed.
type checklist struct {
	report func(backends.Finding) error
	errs   []error // each under its item's name
	broken error   // of report
}

func (l *checklist) add(findings ...backends.Finding) {
	for _, f := range findings {
		if f.Err != nil {
			l.errs = append(l.errs, fmt.Errorf("%s: %w", f.Item, f.Err))
		}
		if l.broken == nil {
			l.broken = l.report(f)
		}
	}
}

// skip reports items that cannot be examined because of another.
func (l *checklist) skip(because string, items ...string) {
	for _, item := range items {
		l.add(backends.Finding{Item: item, Skipped: because})
	}
}

// err returns everything that has failed, nil if nothing has.
func (l *checklist) err() error { return errors.Join(l.errs...) }

// firstFailure returns the item that explains the others, empty if none failed.
func firstFailure(findings []backends.Finding) string {
	for _, f := range findings {
		if f.Err != nil {
			return f.Item
		}
	}
	return ""
}

// The states of an item.
const (
	stateOK   = "ok"
	stateWarn = "WARN"
	stateFail = "FAIL"
	stateSkip = "skip"
)

// stateOf returns the state of an item and what there is to say about it.
func stateOf(f backends.Finding) (state, text string) {
	switch {
	case f.Err != nil:
		return stateFail, f.Err.Error()
	case f.Skipped != "":
		return stateSkip, "because of " + f.Skipped
	case f.Warning != "" && f.Detail != "":
		return stateWarn, f.Detail + "; " + f.Warning
	case f.Warning != "":
		return stateWarn, f.Warning
	}
	return stateOK, f.Detail
}

// printText returns a report that prints one line an item, or one an error if
// an item has several.
func printText(w io.Writer) func(backends.Finding) error {
	return func(f backends.Finding) error {
		state, text := stateOf(f)
		for line := range strings.Lines(text) {
			if _, err := fmt.Fprintf(w, "%-4s  %s: %s\n", state, f.Item, backends.Printable(strings.TrimSuffix(line, "\n"))); err != nil {
				return err
			}
		}
		return nil
	}
}

// printJSON returns a report that prints one object a line.
func printJSON(w io.Writer) func(backends.Finding) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return func(f backends.Finding) error {
		state, text := stateOf(f)
		return encoder.Encode(struct {
			State string `json:"state"`
			Item  string `json:"item"`
			Text  string `json:"text"`
		}{state, f.Item, text})
	}
}

// logFindings returns a report that logs. What has failed is left to the error
// of the whole.
func logFindings(log *slog.Logger) func(backends.Finding) error {
	return func(f backends.Finding) error {
		switch state, text := stateOf(f); state {
		case stateOK:
			log.Info("checked", "item", f.Item, "found", text)
		case stateWarn:
			log.Warn("checked", "item", f.Item, "found", text)
		}
		return nil
	}
}
