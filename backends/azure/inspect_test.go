package azure

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"orthanc-bucketfs/backends"
)

var _ backends.Inspector = (*Bucket)(nil)

// find returns the finding of an item.
func find(t testing.TB, findings []backends.Finding, item string) backends.Finding {
	t.Helper()
	i := slices.IndexFunc(findings, func(f backends.Finding) bool { return f.Item == item })
	if i < 0 {
		t.Fatalf("%s was not examined: %v", item, findings)
	}
	return findings[i]
}

// wantFailure wants that item alone to have failed, for a reason that holds the
// word, and those after it to be skipped.
func wantFailure(t testing.TB, findings []backends.Finding, item, word string) {
	t.Helper()
	failed := false
	for _, f := range findings {
		switch {
		case failed != (f.Skipped != ""):
			t.Errorf("%s: skipped because of %q", f.Item, f.Skipped)
		case (f.Err != nil) != (f.Item == item):
			t.Errorf("%s: %v", f.Item, f.Err)
		case f.Err != nil && !strings.Contains(f.Err.Error(), word):
			t.Errorf("%s: %q is not mentioned: %v", f.Item, word, f.Err)
		}
		failed = failed || f.Err != nil
		wantNoSecret(t, f.Item, f.Err)
	}
	if !failed && item != "" {
		t.Errorf("%s has not failed: %v", item, findings)
	}
}

func inspectContainer(t *testing.T, w *wire, cfg Config) {
	b := openAt(t, cfg, defaultSizes())
	findings := b.Inspect(t.Context(), "ct/probe")
	wantFailure(t, findings, "", "")
	for _, f := range findings {
		if f.Warning != "" {
			t.Errorf("%s: %s", f.Item, f.Warning)
		}
	}
	if !strings.Contains(find(t, findings, "checksum").Detail, "refuses") {
		t.Errorf("got %v", findings)
	}
	if page, err := b.List(t.Context(), backends.ListOptions{}); len(page.Objects) != 0 || err != nil {
		t.Errorf("left in the container: %v, %v", page.Objects, err)
	}
	w.taken()
	wantFailure(t, b.Inspect(t.Context(), ""), "", "")
	if requests := w.taken(); slices.ContainsFunc(requests, func(r string) bool { return !strings.HasPrefix(r, http.MethodGet) }) {
		t.Errorf("without a scratch key it sends %v", requests)
	}
}

func inspectMissingContainer(t *testing.T, _ *wire, cfg Config) {
	cfg.CreateContainer = false
	wantFailure(t, openAt(t, cfg, defaultSizes()).Inspect(t.Context(), "probe"), "container", "create it, or correct its name")
}

func inspectWrongKey(t *testing.T, _ *wire, cfg Config) {
	cfg.CreateContainer = false
	wrong := strings.Replace(cfg.ConnectionString.Reveal(), "Eby8", "Aby8", 1)
	cfg.ConnectionString = backends.NewSecret(wrong)
	findings := openAt(t, cfg, defaultSizes()).Inspect(t.Context(), "probe")
	wantFailure(t, findings, "credentials", "check")
	if strings.Contains(fmt.Sprint(findings), "Aby8") {
		t.Errorf("the key is shown: %v", findings)
	}
}

func inspectPublic(t *testing.T, _ *wire, cfg Config) {
	b := openAt(t, cfg, defaultSizes())
	for _, access := range []container.PublicAccessType{container.PublicAccessTypeBlob, container.PublicAccessTypeContainer} {
		if _, err := b.client.SetAccessPolicy(t.Context(), &container.SetAccessPolicyOptions{Access: &access}); err != nil {
			t.Fatal(err)
		}
		findings := b.Inspect(t.Context(), "probe")
		wantFailure(t, findings, "", "")
		if found := find(t, findings, "public access"); !strings.Contains(found.Warning, "read the objects") {
			t.Errorf("%s: %+v", access, found)
		}
	}
	// Without an object to try, the listing tells.
	if found := find(t, b.Inspect(t.Context(), ""), "public access"); !strings.Contains(found.Warning, "list the objects") {
		t.Errorf("got %+v", found)
	}
}

// store answers as a service does that lacks something.
type store struct {
	date   time.Time // its clock
	ignore string    // header it does not honour
	reads  bool      // whether it gives objects to who has a signature
	bodies map[string][]byte
}

// serve knows as much of the service as an examination asks for.
func (s *store) serve(w http.ResponseWriter, r *http.Request) {
	if !s.date.IsZero() {
		w.Header().Set("Date", s.date.UTC().Format(http.TimeFormat))
	}
	switch {
	case r.URL.Query().Get("sig") == "" && r.Header.Get("Authorization") == "":
		refuse(w, http.StatusForbidden, "AuthenticationFailed")
	case r.URL.Query().Get("comp") == "list":
		s.list(w)
	case r.Method == http.MethodPut && r.Header.Get("If-None-Match") != "" && s.ignore != "If-None-Match" && s.bodies[r.URL.Path] != nil:
		refuse(w, http.StatusConflict, "BlobAlreadyExists")
	case r.Method == http.MethodPut:
		s.bodies[r.URL.Path], _ = io.ReadAll(r.Body)
		describeTo(w, "v")
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodDelete:
		delete(s.bodies, r.URL.Path)
		w.WriteHeader(http.StatusAccepted)
	case s.reads && r.Method == http.MethodGet && s.bodies[r.URL.Path] != nil:
		sum := md5.Sum(s.bodies[r.URL.Path])
		w.Header().Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
		describeTo(w, "v")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.bodies[r.URL.Path]))
	default:
		refuse(w, http.StatusForbidden, "AuthorizationPermissionMismatch")
	}
}

func (s *store) list(w http.ResponseWriter) {
	fmt.Fprint(w, `<?xml version="1.0"?><EnumerationResults ContainerName="images"><Blobs>`)
	for path, body := range s.bodies {
		fmt.Fprintf(w, "<Blob><Name>%s</Name><Properties><Content-Length>%d</Content-Length><Etag>v</Etag>"+
			"<Last-Modified>Mon, 02 Jan 2006 15:04:05 GMT</Last-Modified></Properties></Blob>", strings.TrimPrefix(path, "/images/"), len(body))
	}
	fmt.Fprint(w, "</Blobs></EnumerationResults>")
}

func TestInspectFindsWhatIsMissing(t *testing.T) {
	for name, test := range map[string]struct {
		store      store
		item, word string
	}{
		"clock":              {store{date: time.Now().Add(-20 * time.Minute)}, "clock", "ahead of the store's"},
		"conditional create": {store{ignore: "If-None-Match"}, "conditional create", "does not refuse to overwrite"},
		"get":                {store{}, "get", "AuthorizationPermissionMismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			test.store.bodies = make(map[string][]byte)
			findings := fake(t, 0, test.store.serve).Inspect(t.Context(), "probe")
			wantFailure(t, findings, test.item, test.word)
			if len(test.store.bodies) > 0 {
				t.Errorf("left in the container: %v", test.store.bodies)
			}
			if test.item != "clock" && !strings.Contains(find(t, findings, "checksum").Warning, "MD5") {
				t.Errorf("a store that does not compare checksums: %v", findings)
			}
		})
	}
}

// The requests of everybody do not carry the signature that the bucket has.
func TestInspectPublicWithoutSignature(t *testing.T) {
	s := store{reads: true, bodies: make(map[string][]byte)}
	findings := fake(t, 0, s.serve).Inspect(t.Context(), "probe")
	if found := find(t, findings, "public access"); found.Detail == "" || found.Warning != "" {
		t.Errorf("got %+v in %v", found, findings)
	}
}
