package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// event is one line of go test -json ("go doc test2json").
type event struct {
	Action, Package, Test, Output string
}

// report turns events into text.
type report struct {
	out     io.Writer
	verbose bool

	running []*test
	skipped []string
}

// test is one that has begun, and what it has printed.
type test struct {
	pkg, name string
	output    bytes.Buffer
}

// read takes all events. Tests that never end, since their process did, are
// reported last.
func (r *report) read(events io.Reader) error {
	decoder := json.NewDecoder(events)
	for {
		var e event
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading what go test prints: %w", err)
		}
		r.take(e)
	}
	for _, t := range r.running {
		r.out.Write(t.output.Bytes())
	}
	return nil
}

func (r *report) take(e event) {
	if e.Test == "" {
		r.takeOfPackage(e)
		return
	}
	t := r.find(e)
	switch e.Action {
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") {
			t.output.WriteString(e.Output)
		}
	case "skip":
		r.skipped = append(r.skipped, e.Package+" "+e.Test)
		r.end(t, true)
	case "fail":
		r.end(t, true)
	case "pass":
		r.end(t, r.verbose)
	}
}

// takeOfPackage prints all but the word that a package has passed: the line
// with its name says so, too.
func (r *report) takeOfPackage(e event) {
	if e.Output != "PASS\n" {
		io.WriteString(r.out, e.Output)
	}
}

func (r *report) find(e event) *test {
	for _, t := range r.running {
		if t.pkg == e.Package && t.name == e.Test {
			return t
		}
	}
	t := &test{pkg: e.Package, name: e.Test}
	r.running = append(r.running, t)
	return t
}

func (r *report) end(ended *test, print bool) {
	if print {
		r.out.Write(ended.output.Bytes())
	}
	for n, t := range r.running {
		if t == ended {
			r.running = append(r.running[:n], r.running[n+1:]...)
			return
		}
	}
}

// refuseSkips returns an error if any test was skipped.
func (r *report) refuseSkips() error {
	if len(r.skipped) == 0 {
		return nil
	}
	return fmt.Errorf("FAIL: nothing may be skipped in CI, but these were:\n%s", strings.Join(r.skipped, "\n"))
}
