package hostile

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// attack answers a request.
type attack struct {
	name   string
	handle http.HandlerFunc
}

// attacks returns those on any protocol. Redirects lead to elsewhere.
func attacks(elsewhere string) []attack {
	list := []attack{
		{"endless header", endlessHeader},
		{"compressed", compressed()},
		{"endless XML", endless(200, "application/xml", "<?xml version='1.0'?><ListBucketResult>", "<a>text</a>")},
		{"endless elements of S3", endless(200, "application/xml", "<ListBucketResult>", "<Contents/>")},
		{"endless elements of Azure", endless(200, "application/xml", "<EnumerationResults><Blobs>", "<Blob><Properties/></Blob>")},
		{"endless objects of JSON", endless(200, "application/json", `{"items":[{}`, ",{}")},
		{"endless strings of JSON", endless(200, "application/json", `{"prefixes":[""`, `,""`)},
		{"deep XML", endless(200, "application/xml", "", "<a>")},
		{"deep list", endless(200, "application/xml", "<ListBucketResult><Contents>", "<Key>")},
		{"deep JSON", endless(200, "application/json", "", `{"a":`)},
		{"deep array", endless(200, "application/json", `{"items":`, `[`)},
		{"long key", endless(200, "application/xml", "<ListBucketResult><Contents><Key>", strings.Repeat("k", 1000))},
		{"long name", endless(200, "application/xml", "<EnumerationResults><Blobs><Blob><Name>", strings.Repeat("k", 1000))},
		{"long string", endless(200, "application/json", `{"items":[{"name":"`, strings.Repeat("k", 1000))},
		{"no XML", endless(200, "text/html", "", "\xff\x00\x1b[2J")},
	}
	for _, status := range []int{400, 403, 404, 409, 412, 500, 503} {
		list = append(list,
			attack{fmt.Sprintf("endless %d", status), endless(status, "text/plain", "", "no ")},
			attack{fmt.Sprintf("deep %d", status), endless(status, "application/xml", "<Error>", "<a>")},
			attack{fmt.Sprintf("deep %d in JSON", status), endless(status, "application/json", `{"error":`, `{"a":`)},
		)
	}
	for _, status := range []int{400, 403} {
		list = append(list,
			attack{fmt.Sprintf("escapes in XML of %d", status), once(status, "application/xml", "<Error><Code>Co\u009b2Jde</Code><Message>a\u009b31m\nlevel=ERROR \u202e"+strings.Repeat("long ", 10_000)+"</Message></Error>")},
			attack{fmt.Sprintf("escapes in JSON of %d", status), once(status, "application/json", `{"error":{"message":"a\u001b[2J\u009b31m\nlevel=ERROR \u202e`+strings.Repeat("long ", 1000)+`","errors":[{"reason":"r\u001b[2J"}]}}`)},
		)
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		list = append(list, attack{fmt.Sprintf("redirect %d", status), redirect(status, elsewhere)})
	}
	return list
}

// endless answers with first, and then with again until nobody reads any more.
func endless(status int, kind, first, again string) http.HandlerFunc {
	piece := []byte(strings.Repeat(again, 1+64<<10/len(again)))
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", kind)
		w.Header().Set("ETag", `"version"`)
		w.WriteHeader(status)
		_, err := io.WriteString(w, first)
		for err == nil && r.Method != http.MethodHead {
			_, err = w.Write(piece)
		}
	}
}

func once(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// compressed answers with 1 MB that unpacks to 1 GB, without having been asked to.
func compressed() http.HandlerFunc {
	var part bytes.Buffer
	z := gzip.NewWriter(&part)
	_, _ = z.Write(bytes.Repeat([]byte("k"), 1<<20))
	_ = z.Close()
	body := bytes.Repeat(part.Bytes(), 1<<10) // parts of gzip are read one after the other
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(body)
	}
}

func redirect(status int, elsewhere string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", elsewhere+r.URL.Path)
		w.WriteHeader(status)
	}
}

// endlessHeader writes to the connection itself: package http holds headers.
func endlessHeader(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
	line := []byte("X-Long: " + strings.Repeat("x", 8000) + "\r\n")
	for err == nil {
		_, err = conn.Write(line)
	}
}
