package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// configError is one thing that is wrong with a configuration.
type configError struct {
	file   string
	line   int    // 0 if it is about the file as a whole
	key    string // may be empty
	err    error  // what is wrong
	remedy string // what to do, unless err tells that, too
}

func (e *configError) Error() string {
	var text strings.Builder
	text.WriteString(e.file)
	if e.line > 0 {
		fmt.Fprintf(&text, ":%d", e.line)
	}
	if e.key != "" {
		fmt.Fprintf(&text, ": %s", shownKey(e.key))
	}
	fmt.Fprintf(&text, ": %s", e.err)
	if e.remedy != "" {
		fmt.Fprintf(&text, ": %s", e.remedy)
	}
	return text.String()
}

// shownKey is key as far as its parts look like names. One that does not may be
// a secret that stands where a name belongs.
func shownKey(key string) string {
	name := `(?:[A-Za-z]?[a-z_]{0,29}|[A-Z_]{1,12})[0-9]?(?:\[[0-9]+\])*`
	shown := regexp.MustCompile(`^` + name + `(?:\.` + name + `)*`).FindString(key)
	switch rest := key[len(shown):]; {
	case rest == "":
		return key
	case rest[0] != '.': // in the middle of a part
		shown = shown[:max(0, strings.LastIndex(shown, "."))]
	}
	return strings.TrimPrefix(shown+".(a name that is not shown)", ".")
}

func (e *configError) Unwrap() error { return e.err }

// origin tells where in which file the values of a configuration stand.
type origin struct {
	file  string
	mode  fs.FileMode    // its permissions
	lines map[string]int // as keyLines returns them
}

// fault returns a configError about key. One that is not in the file has the
// line of the table it belongs to; for the top level that is line 1, because
// top-level keys come before the first table.
func (o origin) fault(key string, err error, remedy string) *configError {
	return &configError{file: o.file, line: o.line(key), key: key, err: err, remedy: remedy}
}

func (o origin) line(key string) int {
	for key != "" {
		if line, ok := o.lines[key]; ok {
			return line
		}
		key = key[:max(0, strings.LastIndex(key, "."))]
	}
	return 1
}

// faults collects everything that is wrong with a configuration.
type faults struct {
	origin
	found []*configError
}

func (f *faults) add(key, remedy, format string, args ...any) {
	f.found = append(f.found, f.fault(key, fmt.Errorf(format, args...), remedy))
}

// err returns all that was found, in the order of the lines, or nil.
func (f *faults) err() error {
	slices.SortStableFunc(f.found, func(a, b *configError) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.key, b.key))
	})
	errs := make([]error, len(f.found))
	for i, e := range f.found {
		errs[i] = e
	}
	return errors.Join(errs...)
}
