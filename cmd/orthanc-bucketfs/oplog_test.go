package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/fs/attachment"
)

func TestOperationLog(t *testing.T) {
	const key = "ab/cd/abcd0000-0000-0000-0000-000000000000"
	for _, c := range []struct {
		op   attachment.Operation
		want string // "" for no line
	}{
		{attachment.Operation{Kind: attachment.Stored, Size: 3e6, Duration: 1500 * time.Millisecond},
			`msg=stored key=` + key + ` size=3000000 duration=1.5s speed="2.0 MB/s"`},
		{attachment.Operation{Kind: attachment.Fetched, Size: 500, Duration: time.Millisecond},
			`msg=read key=` + key + ` size=500 duration=1ms speed="0.5 MB/s"`},
		{attachment.Operation{Kind: attachment.Fetched, Size: 500, FromMemory: true},
			`msg="read again, from memory" key=` + key + ` size=500`},
		{attachment.Operation{Kind: attachment.Deleted, Duration: 2 * time.Millisecond}, `msg=deleted key=` + key + ` duration=2ms`},
		{attachment.Operation{Kind: attachment.Stored, Err: errors.New("refused")}, ""},
		{attachment.Operation{Kind: attachment.Looked}, ""},
		{attachment.Operation{Kind: attachment.Listed}, ""},
	} {
		var out bytes.Buffer
		c.op.Key = key
		operationLog(slog.New(slog.NewTextHandler(&out, nil)))(c.op)
		if got := out.String(); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: got %q, want %q", c.op, got, c.want)
		}
	}
}
