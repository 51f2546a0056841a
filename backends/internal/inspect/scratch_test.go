package inspect

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func everything(s *Scratch) []Step {
	return []Step{s.Put(), s.ConditionalCreate(), s.Get(), s.List(), s.Delete(), s.Missing("objects.list")}
}

func TestScratch(t *testing.T) {
	quiet := func(context.Context, *backendtest.Request) error { return nil }
	refused := backendtest.Fail(fs.ErrPermission)
	outage := backendtest.Fail(errors.New("outage"))
	for name, test := range map[string]struct {
		rules []backendtest.Rule
		want  string
		words string
	}{
		"sound":            {nil, "ok ok ok ok ok ok", ""},
		"put refused":      {rules(backendtest.Each(backendtest.OpCreate, refused)), "FAIL skip skip skip skip skip", "cannot be stored"},
		"put fails":        {rules(backendtest.Each(backendtest.OpCreate, outage)), "FAIL skip skip skip skip skip", "outage"},
		"overwrites":       {rules(backendtest.Nth(backendtest.OpCreate, 2, quiet)), "ok FAIL skip skip skip skip", "conditional writes"},
		"second put fails": {rules(backendtest.Nth(backendtest.OpCreate, 2, outage)), "ok FAIL skip skip skip skip", "outage"},
		"read refused":     {rules(backendtest.Each(backendtest.OpRead, refused)), "ok ok FAIL skip skip skip", "cannot be read back"},
		"reads other":      {rules(backendtest.Each(backendtest.OpRead, backendtest.FlipBit(3))), "ok ok FAIL skip skip skip", "not the one that was stored"},
		"list refused":     {rules(backendtest.Each(backendtest.OpList, refused)), "ok ok ok FAIL skip skip", "cannot be listed"},
		"lists nothing":    {rules(backendtest.Each(backendtest.OpList, quiet)), "ok ok ok FAIL skip skip", "not listed"},
		"delete refused":   {rules(backendtest.Each(backendtest.OpDelete, refused)), "ok ok ok ok FAIL skip", "probe cannot be deleted"},
		"deletes nothing":  {rules(backendtest.Nth(backendtest.OpDelete, 1, quiet)), "ok ok ok ok ok FAIL", "still there"},
		"missing refused":  {rules(backendtest.Each(backendtest.OpStat, refused)), "ok ok ok ok ok FAIL", "permission objects.list"},
		"stat fails":       {rules(backendtest.Each(backendtest.OpStat, outage)), "ok ok ok ok ok FAIL", "outage"},
		"cannot clear up": {rules(backendtest.Each(backendtest.OpRead, refused), backendtest.Each(backendtest.OpDelete, refused)),
			"ok ok FAIL skip skip skip FAIL", "probe may be left"},
	} {
		t.Run(name, func(t *testing.T) {
			mem := backendtest.NewMem()
			faulty := backendtest.NewFaulty(mem)
			faulty.Inject(test.rules...)
			s := NewScratch(faulty, "probe")
			want(t, s.Run(t.Context(), everything(s)...), test.want, test.words)
			page, err := mem.List(t.Context(), backends.ListOptions{})
			undeletable := name == "delete refused" || name == "cannot clear up" || name == "deletes nothing"
			if left := len(page.Objects) > 0; left != undeletable || err != nil {
				t.Errorf("left in the bucket: %v, %v", page.Objects, err)
			}
		})
	}
}

// What goes with a checksum that is not its own must be refused; where it is
// not, it is deleted.
func TestChecksum(t *testing.T) {
	mismatch := errors.New("mismatch")
	for name, test := range map[string]struct {
		stores bool
		err    error
		rules  []backendtest.Rule
		want   string
		words  string
	}{
		"refused":       {false, mismatch, nil, "ok ok", "refuses what does not match its MD5"},
		"taken":         {true, nil, nil, "ok WARN", "does not compare the MD5"},
		"answer lost":   {true, io.ErrUnexpectedEOF, nil, "ok WARN", "could not be examined"},
		"cannot delete": {true, nil, rules(backendtest.Nth(backendtest.OpDelete, 1, backendtest.Fail(fs.ErrPermission))), "ok FAIL", "probe-damaged may be left"},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := backendtest.NewFaulty(backendtest.NewMem())
			faulty.Inject(test.rules...)
			s := NewScratch(faulty, "probe")
			create := func(ctx context.Context, key string) error {
				if test.stores {
					if _, err := faulty.Create(ctx, key, nil); err != nil {
						t.Fatal(err)
					}
				}
				return test.err
			}
			noticed := func(err error) bool { return errors.Is(err, mismatch) }
			want(t, s.Run(t.Context(), s.Put(), s.Checksum("MD5", create, noticed)), test.want, test.words)
			page, err := faulty.List(t.Context(), backends.ListOptions{})
			if left := len(page.Objects) > 0; left != (name == "cannot delete") || err != nil {
				t.Errorf("left in the bucket: %v, %v", page.Objects, err)
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	refused := Needs(Step{"get", func(context.Context) backends.Finding { return Wrong(fs.ErrPermission) }}, "objects.get")
	want(t, Run(t.Context(), refused), "FAIL", "give these credentials the permission objects.get")
	other := Needs(Step{"get", func(context.Context) backends.Finding { return Wrong(io.ErrUnexpectedEOF) }}, "objects.get")
	if findings := Run(t.Context(), other); strings.Contains(text(findings), "permission") {
		t.Errorf("got %v", findings)
	}
}

func rules(r ...backendtest.Rule) []backendtest.Rule { return r }

// Whoever is interrupted has nothing left behind, and nothing comes later.
func TestScratchInterrupted(t *testing.T) {
	mem := backendtest.NewMem()
	faulty := backendtest.NewFaulty(mem)
	ctx, cancel := context.WithCancel(t.Context())
	faulty.Inject(backendtest.Each(backendtest.OpCreate, func(ctx context.Context, r *backendtest.Request) error {
		cancel()
		return r.Do(ctx)
	}))
	s := NewScratch(faulty, "probe")
	findings := s.Run(ctx, everything(s)...)
	if page, err := mem.List(t.Context(), backends.ListOptions{}); len(page.Objects) > 0 || err != nil {
		t.Errorf("left in the bucket: %v, %v", page.Objects, err)
	}
	want(t, findings, "ok FAIL skip skip skip skip", context.Canceled.Error())
}

func TestPublic(t *testing.T) {
	for name, test := range map[string]struct {
		open  map[string]bool
		want  string
		words string
	}{
		"closed":         {nil, "ok", "refused"},
		"objects open":   {map[string]bool{"/object": true}, "WARN", "read the objects"},
		"listing open":   {map[string]bool{"/list": true}, "WARN", "list the objects"},
		"both are open":  {map[string]bool{"/object": true, "/list": true}, "WARN", "close the bucket"},
		"sent elsewhere": {map[string]bool{"/elsewhere": true}, "ok", "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !test.open[r.URL.Path] {
					http.Redirect(w, r, "/elsewhere", http.StatusFound)
				}
			}))
			t.Cleanup(s.Close)
			p := Public{Transport: newTransport(), Object: s.URL + "/object", Listing: s.URL + "/list", Remedy: "close the bucket"}
			want(t, Run(t.Context(), p.Step()), test.want, test.words)
		})
	}
	broken := Public{Transport: newTransport(), Listing: "http://127.0.0.1:1/?sig=s3cret"}
	findings := Run(t.Context(), broken.Step())
	want(t, findings, "WARN", "could not be examined")
	if got := findings[0].Warning; len(got) == 0 || strings.Contains(got, "s3cret") {
		t.Errorf("the URL is shown: %s", got)
	}
}

// tunnel connects the client to a host.
func tunnel(t *testing.T, w http.ResponseWriter, host string) {
	server, err := net.Dial("tcp", host)
	if err != nil {
		t.Error(err)
		return
	}
	defer server.Close()
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer client.Close()
	go func() { _, _ = io.Copy(server, buffered) }()
	_, _ = io.Copy(client, server)
}
