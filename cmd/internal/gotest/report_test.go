package main

import (
	"strings"
	"testing"
)

const events = `
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"good says\n"}
{"Action":"run","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"q","Test":"TestBad","Output":"another's words\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"bad says\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"pass","Package":"q","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestLost","Output":"panic: lost\n"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"skip","Package":"without tests"}
{"Action":"build-output","ImportPath":"broken","Output":"syntax error\n"}
`

func TestReport(t *testing.T) {
	for _, c := range []struct {
		verbose bool
		want    string
	}{
		{false, "bad says\nFAIL\tp\t0.1s\nsyntax error\npanic: lost\n"},
		{true, "good says\nbad says\nanother's words\nFAIL\tp\t0.1s\nsyntax error\npanic: lost\n"},
	} {
		var out strings.Builder
		r := &report{out: &out, verbose: c.verbose}
		if err := r.read(strings.NewReader(events)); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("verbose %v: got\n%s", c.verbose, out.String())
		}
		if err := r.refuseSkips(); err != nil {
			t.Errorf("a package without tests: %v", err)
		}
	}
}

func TestReportRefusesSkips(t *testing.T) {
	var out strings.Builder
	r := &report{out: &out}
	err := r.read(strings.NewReader(`{"Action":"output","Package":"p","Test":"TestA/b","Output":"no machine\n"}
{"Action":"skip","Package":"p","Test":"TestA/b"}`))
	if err != nil || out.String() != "no machine\n" {
		t.Errorf("got %q, error %v", out.String(), err)
	}
	if err := r.refuseSkips(); err == nil || !strings.Contains(err.Error(), "p TestA/b") {
		t.Error(err)
	}
}

func TestReportStopsAtNonsense(t *testing.T) {
	if err := (&report{out: new(strings.Builder)}).read(strings.NewReader("{}\nnonsense")); err == nil {
		t.Error("no error")
	}
}
