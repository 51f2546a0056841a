package gcs

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
)

var _ backends.Inspector = (*Bucket)(nil)

// find returns the finding of an item.
func find(t *testing.T, findings []backends.Finding, item string) backends.Finding {
	t.Helper()
	i := slices.IndexFunc(findings, func(f backends.Finding) bool { return f.Item == item })
	if i < 0 {
		t.Fatalf("%s was not examined: %v", item, findings)
	}
	return findings[i]
}

// failure returns the item that has failed, and why.
func failure(findings []backends.Finding) (item, why string) {
	for _, f := range findings {
		if f.Err != nil {
			return f.Item, f.Err.Error()
		}
	}
	return "", ""
}

// The emulator knows no credentials, so everybody can read it.
func TestInspect(t *testing.T) {
	f := newFront(t)
	b := open(t, testConfig(f.URL))
	findings := b.Inspect(t.Context(), "ct/probe")
	if item, why := failure(findings); item != "" {
		t.Errorf("%s has failed: %s", item, why)
	}
	if !strings.Contains(find(t, findings, "public access").Warning, "everybody can read the objects") {
		t.Errorf("got %v", findings)
	}
	if !strings.Contains(find(t, findings, "checksum").Detail, "refuses") {
		t.Errorf("got %v", findings)
	}
	if page, err := b.List(t.Context(), backends.ListOptions{}); len(page.Objects) != 0 || err != nil {
		t.Errorf("left in the bucket: %v, %v", page.Objects, err)
	}
	f.take()
	if item, why := failure(b.Inspect(t.Context(), "")); item != "" {
		t.Errorf("%s has failed: %s", item, why)
	}
	if requests := f.take(); slices.ContainsFunc(requests, func(r string) bool { return !strings.HasPrefix(r, http.MethodGet) }) {
		t.Errorf("without a scratch key it sends %v", requests)
	}
}

// service is one that refuses something, and does not store what it takes.
type service struct {
	refuses  string // kind of request that is answered 403
	status   int    // of listings, 0 for success
	problem  string // with status
	requests []string
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	kind := r.Method
	if kind == http.MethodGet && strings.HasSuffix(r.URL.Path, "/o") {
		kind = "LIST"
	}
	s.requests = append(s.requests, kind)
	_, _ = io.Copy(io.Discard, r.Body)
	switch {
	case kind == s.refuses:
		problem(http.StatusForbidden, "forbidden", "no permission")(w, r)
	case kind == "LIST" && s.status != 0:
		problem(s.status, "", s.problem)(w, r)
	case kind == "LIST":
		_, _ = io.WriteString(w, "{}")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestInspectFindsWhatIsMissing(t *testing.T) {
	for name, test := range map[string]struct {
		service    service
		item, word string
	}{
		"no bucket":      {service{status: 404, problem: "The specified bucket does not exist."}, "bucket", "create it, or correct its name"},
		"no credentials": {service{status: 401, problem: "Invalid Credentials"}, "credentials", "check service_account_file"},
		"list refused":   {service{refuses: "LIST"}, "bucket", "storage.objects.list"},
		"create refused": {service{refuses: "POST"}, "put", "storage.objects.create"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(test.service.serve))
			t.Cleanup(s.Close)
			findings := open(t, testConfig(s.URL)).Inspect(t.Context(), "probe")
			item, why := failure(findings)
			if item != test.item || !strings.Contains(why, test.word) {
				t.Errorf("got %s: %s; want %s, with %q", item, why, test.item, test.word)
			}
			if last := findings[len(findings)-1]; last.Skipped != test.item {
				t.Errorf("%s is skipped because of %q", last.Item, last.Skipped)
			}
			if test.item != "put" && slices.Contains(test.service.requests, http.MethodPost) {
				t.Errorf("it stores all the same: %v", test.service.requests)
			}
		})
	}
}

// What cannot be listed as a whole may still be listed below root_path, which
// a caller who must not store looks at.
func TestInspectWithoutStoringLeavesListingToTheCaller(t *testing.T) {
	refusing := service{refuses: "LIST"}
	s := httptest.NewServer(http.HandlerFunc(refusing.serve))
	t.Cleanup(s.Close)
	findings := open(t, testConfig(s.URL)).Inspect(t.Context(), "")
	if item, why := failure(findings); item != "" {
		t.Errorf("%s has failed: %s", item, why)
	}
	if found := find(t, findings, "bucket"); !strings.Contains(found.Warning, "as a whole") {
		t.Errorf("got %v", findings)
	}
}
