package gcs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"orthanc-bucketfs/backends/backendtest/server"
)

// front stands before the emulator, notes every request, and answers as the
// service does where the emulator does not:
//
//   - Prefixes count against the limit of a page. The emulator limits objects
//     alone, and gives all prefixes with every page.
//   - A 404 says whether the object or the bucket is missing. The emulator says
//     "Not Found" to both.
type front struct {
	URL      string
	emulator string

	mu       sync.Mutex
	requests []string // method and kind, in order of arrival
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{emulator: server.FakeGCS(t).URL}
	target, err := url.Parse(f.emulator)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // sessions are to come through here, too
		},
		ModifyResponse: f.explain404,
		ErrorLog:       log.New(io.Discard, "", 0), // of calls that were cancelled
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.note(r)
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/b/"+bucketName+"/o") {
			f.list(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	f.URL = s.URL
	return f
}

func (f *front) note(r *http.Request) {
	kind := "object"
	switch query := r.URL.Query(); {
	case query.Has("upload_id"):
		kind = "session"
	case query.Has("uploadType"):
		kind = query.Get("uploadType")
	case strings.HasSuffix(r.URL.Path, "/o"):
		kind = "page"
	case !strings.HasPrefix(r.URL.Path, "/storage/"):
		kind = "bytes"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r.Method+" "+kind)
}

// take returns the requests since the last call.
func (f *front) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests = nil
	return requests
}

// entry is an object or a prefix of a listing.
type entry struct {
	name   string
	object json.RawMessage // nil for a prefix
}

func (f *front) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := strconv.Atoi(query.Get("maxResults"))
	if err != nil {
		limit = 1000
	}
	entries, err := f.entries(r, query)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	after := query.Get("pageToken")
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.name <= after })
	var page struct {
		Items         []json.RawMessage `json:"items,omitempty"`
		Prefixes      []string          `json:"prefixes,omitempty"`
		NextPageToken string            `json:"nextPageToken,omitempty"`
	}
	if len(entries) > limit {
		entries = entries[:limit]
		page.NextPageToken = entries[limit-1].name
	}
	for _, e := range entries {
		if e.object == nil {
			page.Prefixes = append(page.Prefixes, e.name)
		} else {
			page.Items = append(page.Items, e.object)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(page)
}

// entries gets the whole listing from the emulator.
func (f *front) entries(r *http.Request, query url.Values) ([]entry, error) {
	all := url.Values{"prefix": query["prefix"], "delimiter": query["delimiter"]}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, f.emulator+r.URL.Path+"?"+all.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var listing struct {
		Items    []json.RawMessage
		Prefixes []string
	}
	if err := json.NewDecoder(resp.Body).Decode(&listing); err != nil {
		return nil, err
	}
	var entries []entry
	for _, item := range listing.Items {
		var object struct{ Name string }
		if err := json.Unmarshal(item, &object); err != nil {
			return nil, err
		}
		entries = append(entries, entry{object.Name, item})
	}
	for _, prefix := range listing.Prefixes {
		entries = append(entries, entry{prefix, nil})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries, nil
}

// explain404 tells of the object: the tests with an emulator have a bucket.
func (f *front) explain404(resp *http.Response) error {
	if resp.StatusCode != http.StatusNotFound {
		return nil
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	body := noSuchObject
	if !strings.HasPrefix(resp.Request.URL.Path, "/storage/") {
		body = noSuchKey
	}
	resp.Body = io.NopCloser(bytes.NewReader([]byte(body)))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return nil
}

// What the service answers with status 404.
const (
	noSuchObject = `{"error":{"code":404,"message":"No such object: images/x","errors":[{"message":"No such object: images/x","domain":"global","reason":"notFound"}]}}`
	noSuchKey    = `<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Details>No such object: images/x</Details></Error>`
)
