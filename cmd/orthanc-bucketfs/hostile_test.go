package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
)

// hostileListing is what a server in the store's place lists: one attachment
// with a size and an ETag of its choice, among names that are none.
func hostileListing(size, etag string) string {
	entry := func(key, size string) string {
		return "<Contents><Key>" + key + "</Key><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>" + etag + "</ETag><Size>" + size + "</Size></Contents>"
	}
	return "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>" +
		entry("%00", "1") + entry("%0A", "1") + entry("%1B[2J", "1") + entry("../../etc/passwd", "1") +
		entry("ab/cd/"+hostileName, size) + entry("ab/cd/"+hostileName+"%1B[2J", "1") + entry("ab/cd/"+strings.Repeat("x", 1<<20), "1") +
		"</ListBucketResult>"
}

const hostileName = "abcd0000-1111-4222-8333-444455556666"

// hostileStore lies about one object, and refuses what it does not know. It holds
// others, so that whoever looks at the store first goes on to that one.
func hostileStore(t *testing.T, size, etag string, fetch http.HandlerFunc) string {
	t.Helper()
	var mu sync.Mutex
	held := map[string][]byte{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, found := held[r.URL.Path]
		w.Header().Set("ETag", `"held"`)
		switch {
		case r.URL.Query().Get("list-type") != "":
			fmt.Fprint(w, hostileListing(size, etag))
		case strings.Contains(r.URL.Path, hostileName) && r.Method == "GET":
			fetch(w, r)
		case strings.Contains(r.URL.Path, hostileName) && r.Method == "HEAD":
			w.Header().Set("ETag", etag)
			w.Header().Set("Content-Length", size)
		case r.Method == "PUT" && found && r.Header.Get("If-None-Match") != "":
			w.WriteHeader(http.StatusPreconditionFailed)
		case r.Method == "PUT":
			held[r.URL.Path], _ = io.ReadAll(r.Body)
		case r.Method == "DELETE":
			delete(held, r.URL.Path)
			w.WriteHeader(http.StatusNoContent)
		case found:
			http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(body))
		case r.Method == "HEAD" && strings.Count(r.URL.Path, "/") > 1:
			w.WriteHeader(http.StatusNotFound)
		case r.Method == "GET" && strings.Count(r.URL.Path, "/") > 1:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<Error><Code>NoSuchKey</Code><Message>gone\u009b31m\nlevel=INFO msg=ready</Message></Error>")
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestHostileStore lets every command that works on a bucket meet a server that
// lies. It ends with a failure, says so in characters that can be shown, and
// writes nothing but what it was asked to.
func TestHostileStore(t *testing.T) {
	ranged := func(size string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"v"`)
			w.Header().Set("Content-Range", "bytes 0-99/"+size)
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, "A1"+strings.Repeat("x", 98))
		}
	}
	refused := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, "<Error><Code>A\u009b2J</Code><Message>no\u009b31m\nlevel=INFO msg=ready</Message></Error>")
	}
	const tenTB = "10995116277760"
	for _, test := range []struct {
		name, size, etag string
		fetch            http.HandlerFunc
	}{
		{"10 TB", tenTB, `"v"`, ranged(tenTB)},
		{"beyond 64 bits", "99999999999999999999", `"v"`, ranged("99999999999999999999")},
		{"largest", "9223372036854775807", `"v"`, ranged("9223372036854775807")},
		{"negative", "-100", `"v"`, ranged("-100")},
		{"no size", "", `"v"`, ranged("")},
		{"10 TB in the listing alone", tenTB, `"v"`, ranged("100")},
		{"100 bytes in the listing alone", "100", `"v"`, ranged(tenTB)},
		{"negative in the answer alone", "100", `"v"`, ranged("-5")},
		{"other version", "100", `"w"`, ranged("100")},
		{"version with escapes", "100", "\"v\u009b2J\"", ranged("100")},
		{"no version", "100", "", ranged("100")},
		{"escapes in refusals", "100", `"v"`, refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := hostileStore(t, test.size, test.etag, test.fetch)
			dir, source := t.TempDir(), plainSource(t)
			text := withLine(t, sites(t)["s3.secret_key"], "s3.endpoint", fmt.Sprintf("endpoint = %q", url))
			config := writeConfig(t, text)
			for _, args := range [][]string{{"check"}, {"check", "--json"}, {"verify"}, {"verify", "--json"}, {"rekey"}, {"rekey", "--dry-run"}, {"mount"}, {"export", dir}, {"import", source}, {"import", "--remove-source", source}} {
				args = slices.Insert(args, 1, "--config", config)
				output, code := told(t, "", args...)
				if code == exitDone {
					t.Errorf("%s: succeeded:\n%s", args[0], output)
				}
				if args[0] == "verify" && strings.Contains(output, "left in the bucket") {
					t.Errorf("%s did not come to the objects:\n%s", args[0], output)
				}
				wantPrintable(t, args[0], output)
			}
			_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() && strings.Contains(path, "cd/") {
					t.Errorf("exported %s", path)
				}
				return nil
			})
		})
	}
}

// plainSource is a directory with the attachment that the store lies about.
func plainSource(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "ab/cd", hostileName)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("an image"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if content, err := os.ReadFile(path); err != nil || string(content) != "an image" {
			t.Errorf("the file of before: %q, %v", content, err)
		}
	})
	return dir
}

func wantPrintable(t *testing.T, what, output string) {
	t.Helper()
	const longest = 4 << 10 // bytes
	for line := range strings.Lines(output) {
		line = strings.TrimSuffix(line, "\n")
		if len(line) > longest {
			t.Errorf("%s: a line of %d bytes: %s", what, len(line), line[:200])
		}
		if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.HasPrefix(line, "level=") {
			t.Errorf("%s: %q", what, line)
		}
	}
}
