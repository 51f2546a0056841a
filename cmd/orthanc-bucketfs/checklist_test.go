package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
)

func sampleFindings() []backends.Finding {
	return []backends.Finding{
		{Item: "DNS", Detail: "an address"},
		{Item: "clock", Warning: "ahead"},
		{Item: "existing files", Detail: "4 of 5", Warning: "DAMAGED"},
		{Item: "key files", Err: errors.Join(errors.New("one <&> is unreadable"), errors.New("two as well"))},
		{Item: "put", Skipped: "key files"},
	}
}

func TestPrintText(t *testing.T) {
	var out bytes.Buffer
	list := &checklist{report: printText(&out)}
	list.add(sampleFindings()...)
	const want = `ok    DNS: an address
WARN  clock: ahead
WARN  existing files: 4 of 5; DAMAGED
FAIL  key files: one <&> is unreadable
FAIL  key files: two as well
skip  put: because of key files
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if err := list.err(); err == nil || !strings.HasPrefix(err.Error(), "key files: one") {
		t.Errorf("got error %v", err)
	}
}

func TestPrintJSON(t *testing.T) {
	var out bytes.Buffer
	list := &checklist{report: printJSON(&out)}
	list.add(sampleFindings()...)
	want := []struct{ State, Item, Text string }{
		{"ok", "DNS", "an address"},
		{"WARN", "clock", "ahead"},
		{"WARN", "existing files", "4 of 5; DAMAGED"},
		{"FAIL", "key files", "one <&> is unreadable\ntwo as well"},
		{"skip", "put", "because of key files"},
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got %d lines:\n%s", len(lines), out.String())
	}
	for i, line := range lines {
		var got struct{ State, Item, Text string }
		if err := json.Unmarshal([]byte(line), &got); err != nil || got != want[i] {
			t.Errorf("line %d: %s, %v", i, line, err)
		}
	}
}

// Mount logs what it has found; what has failed becomes its error.
func TestLogFindings(t *testing.T) {
	var out bytes.Buffer
	list := &checklist{report: logFindings(slog.New(slog.NewTextHandler(&out, nil)))}
	list.add(sampleFindings()...)
	for _, line := range []string{"level=INFO msg=checked item=DNS", "level=WARN msg=checked item=clock found=ahead", "DAMAGED"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not logged:\n%s", line, out.String())
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
}

// inspected is a bucket that an examination finds something out about.
type inspected struct {
	backends.Bucket
	findings []backends.Finding
	scratch  string
}

func (b *inspected) String() string { return "test bucket" }

func (b *inspected) Inspect(_ context.Context, scratch string) []backends.Finding {
	b.scratch = scratch
	return b.findings
}

// What fails in the bucket explains why nothing that needs it is examined; no
// call of the bucket is made after that.
func TestStoreIsSkippedAfterAFailure(t *testing.T) {
	bucket := &inspected{findings: []backends.Finding{{Item: "TLS", Err: errDisk}, {Item: "clock", Skipped: "TLS"}}}
	var out bytes.Buffer
	list := &checklist{report: printText(&out)}
	s := &stack{bucket: backends.WithPrefix(bucket, "ct")}
	list.store(t.Context(), Config{RootPath: "ct"}, s)
	const want = `ok    store: test bucket, below ct
FAIL  TLS: disk has failed
skip  clock: because of TLS
skip  round trip: because of TLS
skip  existing files: because of TLS
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if !strings.HasPrefix(bucket.scratch, "ct/orthanc-bucketfs-probe-") {
		t.Errorf("the scratch key is %q", bucket.scratch)
	}
	list.bucket(t.Context(), Config{RootPath: "ct", ReadOnly: true}, s)
	if bucket.scratch != "" {
		t.Errorf("with read_only the scratch key is %q", bucket.scratch)
	}
}
