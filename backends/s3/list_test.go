package s3

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/server"
)

func listing(head string, keys ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(head, "IsTruncated") {
			head += "<IsTruncated>false</IsTruncated>"
		}
		fmt.Fprintf(w, "<ListBucketResult>%s", head)
		for _, key := range keys {
			fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>1</Size><ETag>&quot;v&quot;</ETag></Contents>", key)
		}
		fmt.Fprint(w, "</ListBucketResult>")
	}
}

func TestListDecodes(t *testing.T) {
	for _, c := range []struct {
		head string
		keys []string
		want []string
	}{
		{"<EncodingType>url</EncodingType>", []string{"a%01", "a+b", "a%2Bc", "b/%C3%BC"}, []string{"a\x01", "a b", "a+c", "b/ü"}},
		{"", []string{"a%01", "a+b"}, []string{"a%01", "a+b"}},
		{"", []string{"a/", "a//b", "a/b", "b"}, []string{"a/b", "b"}},
	} {
		b := fake(t, listing(c.head, c.keys...), nil)
		page, err := b.List(t.Context(), backends.ListOptions{})
		var got []string
		for _, obj := range page.Objects {
			got = append(got, obj.Key)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, error %v, want %q", c.keys, got, err, c.want)
		}
	}
}

func TestListRefusesNonsense(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"out of order":    listing("", "b", "a"),
		"a key twice":     listing("", "a", "a"),
		"no way on":       listing("<IsTruncated>true</IsTruncated>", "a"),
		"wrong encoding":  listing("<EncodingType>url</EncodingType>", "%zz"),
		"no end":          func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<ListBucketResult>") },
		"no listing":      func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html><p>hello</html>") },
		"nothing at all":  func(w http.ResponseWriter, r *http.Request) {},
		"another listing": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<ListAllMyBucketsResult/>") },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fake(t, handle, nil).List(t.Context(), backends.ListOptions{})
			wantOnly(t, err, nil)
		})
	}
}

// Other programs make objects for directories.
func TestListLeavesOutDirectories(t *testing.T) {
	b := open(t, configFor(server.Versity(t)))
	if _, err := b.client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &b.cfg.Bucket, Key: aws.String("d/"), Body: strings.NewReader(""),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), "d/x", pattern(10)); err != nil {
		t.Fatal(err)
	}
	page, err := b.List(t.Context(), backends.ListOptions{})
	if err != nil || len(page.Objects) != 1 || page.Objects[0].Key != "d/x" {
		t.Errorf("got %+v, error %v", page.Objects, err)
	}
}

// MinIO refuses such prefixes; no key starts with them.
func TestListOfImpossiblePrefixes(t *testing.T) {
	handle, requests := counted(listing(""))
	b := fake(t, handle, nil)
	for _, c := range []struct {
		prefix string
		want   int
	}{
		{"", 1}, {"a", 1}, {"a/", 1}, {"a/b", 1}, {".a/.b", 1},
		{"/", 0}, {"/a", 0}, {"a//", 0}, {"a//b", 0}, {"./", 0}, {"../a", 0}, {"a/./b", 0},
	} {
		before := requests()
		if _, err := b.List(t.Context(), backends.ListOptions{Prefix: c.prefix}); err != nil {
			t.Errorf("%q: %v", c.prefix, err)
		}
		if n := requests() - before; n != c.want {
			t.Errorf("%q: got %d requests, want %d", c.prefix, n, c.want)
		}
	}
}
