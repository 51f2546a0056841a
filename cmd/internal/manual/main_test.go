package main

import (
	"errors"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	got := keys("# Head.\n\n# Where.\n# Really.\npath = \"/a\"\n\n[s3]\n# .dot\nbucket = 'b\\c'\nsize = 1\n")
	want := `.Bl -tag -width Ds
.It Sy path
Where.
Really.
.Bd -literal -compact
path = "/a"
.Ed
.It Sy s3.bucket
\&.dot
.Bd -literal -compact
bucket = 'b\ec'
.Ed
.It Sy s3.size
.Bd -literal -compact
size = 1
.Ed
.El
`
	if got != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestCommands(t *testing.T) {
	usages := map[string]string{
		"":      "Keeps.\n\nUsage: p COMMAND\n\nCommands:\n  one FILE   do one\n  other      do the other\n\n'p COMMAND -h' helps.\n",
		"one":   "Usage: p one [--config FILE] FILE\n\nDo one.\nDetails.\n\nMore.\n\n  --config FILE\n        the file\n\n  --json\n        as JSON\n",
		"other": "Usage: p other\n\nDo the other.\n",
	}
	got, err := commands(func(name ...string) (string, error) { return usages[strings.Join(name, "")], nil })
	want := `.Ss one
.Bd -literal -compact
p one [--config FILE] FILE
.Ed
.Pp
Do one.
Details.
.Pp
More.
.Bl -tag -width Ds
.It Sy "--config FILE"
the file
.It Sy "--json"
as JSON
.El
.Ss other
.Bd -literal -compact
p other
.Ed
.Pp
Do the other.
`
	if err != nil || got != want {
		t.Errorf("error %v, got:\n%s", err, got)
	}
}

func TestCommandsFail(t *testing.T) {
	broken := errors.New("broken")
	if _, err := commands(func(...string) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := commands(func(...string) (string, error) { return "no list", nil }); err == nil {
		t.Error("a text without commands makes a page")
	}
}
