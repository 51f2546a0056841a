package azure

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
)

func blobXML(name, more string) string {
	return "<Blob><Name>" + name + "</Name><Properties><Etag>0x1</Etag><Last-Modified>Mon, 02 Jan 2006 15:04:05 GMT</Last-Modified>" +
		"<Content-Length>5</Content-Length>" + more + "</Properties></Blob>"
}

func prefixXML(name string) string { return "<BlobPrefix><Name>" + name + "</Name></BlobPrefix>" }

// listing opens a bucket that has one page.
func listing(t testing.TB, blobs ...string) *Bucket {
	return fake(t, 0, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprintf(w, `<?xml version="1.0"?><EnumerationResults ServiceEndpoint="http://x/" ContainerName="images"><Blobs>%s</Blobs><NextMarker>m</NextMarker></EnumerationResults>`,
			strings.Join(blobs, ""))
	})
}

func TestListLeavesOutWhatIsNoObject(t *testing.T) {
	b := listing(t, blobXML("a//b", ""), blobXML("a/b", ""), blobXML("a\\b", ""), blobXML("c", "<ResourceType>directory</ResourceType>"),
		blobXML("d", "<ResourceType>file</ResourceType>"), blobXML("dot.", ""), blobXML("e/", ""), prefixXML("a//"), prefixXML("b./"), prefixXML("x/"))
	page, err := b.List(t.Context(), backends.ListOptions{Shallow: true})
	if err != nil || len(page.Objects) != 2 || page.Objects[0].Key != "a/b" || page.Objects[1].Key != "d" {
		t.Errorf("List: %+v, error %v", page, err)
	}
	if strings.Join(page.Prefixes, " ") != "b./ x/" || page.Next != "m" {
		t.Errorf("List: prefixes %q, next %q", page.Prefixes, page.Next)
	}
	if page.Objects[0].Version != "0x1" || page.Objects[0].Size != 5 || page.Objects[0].Modified.Year() != 2006 {
		t.Errorf("List: %+v", page.Objects[0])
	}
}

func TestListReportsWrongOrder(t *testing.T) {
	for _, b := range []*Bucket{
		listing(t, blobXML("a/b", ""), blobXML("a-b", "")),
		listing(t, prefixXML("a/"), prefixXML("a-b/")),
	} {
		if _, err := b.List(t.Context(), backends.ListOptions{Shallow: true}); !errors.Is(err, errOrder) {
			t.Errorf("List of keys out of order: %v", err)
		}
	}
}

func TestListReportsWhatIsNoListing(t *testing.T) {
	for _, answer := range []string{
		"", "<html><body>Sign in</body></html>", `<?xml version="1.0"?><Error/>`,
		`<EnumerationResults ServiceEndpoint="http://x/" ContainerName="images"><Blobs>` + blobXML("a", ""),
		`<EnumerationResults ServiceEndpoint="http://x/" ContainerName="images"><Blobs><Blob><Name>a</Name></Blob></Blobs></EnumerationResults>`,
	} {
		b := fake(t, 0, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) })
		for _, shallow := range []bool{false, true} {
			_, err := b.List(t.Context(), backends.ListOptions{Shallow: shallow})
			wantNone(t, "List answered "+answer, err)
		}
	}
}

func TestListAsksForWhatIsWanted(t *testing.T) {
	var got string
	b := fake(t, 0, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		got = strings.Join([]string{q.Get("prefix"), q.Get("delimiter"), q.Get("marker"), q.Get("maxresults")}, " ")
		fmt.Fprint(w, `<EnumerationResults ContainerName="images"><Blobs/><NextMarker/></EnumerationResults>`)
	})
	for _, c := range []struct {
		opts backends.ListOptions
		want string
	}{
		{backends.ListOptions{}, "   5000"},
		{backends.ListOptions{Limit: 1 << 40}, "   5000"},
		{backends.ListOptions{Prefix: "a/b", Limit: 7, Token: "t"}, "a/b  t 7"},
		{backends.ListOptions{Prefix: "a", Shallow: true, Token: "t"}, "a / t 5000"},
	} {
		page, err := b.List(t.Context(), c.opts)
		if err != nil || page.Next != "" || got != c.want {
			t.Errorf("List %+v: asked for %q, want %q; next %q, error %v", c.opts, got, c.want, page.Next, err)
		}
	}
}

func TestKeysTheServiceCannotHold(t *testing.T) {
	held := []string{"a", "a/b./c", strings.Repeat("é", 1024), strings.Repeat("a/", 253) + "a"}
	refused := []string{"a.", "a\\b", "a\x01", "a\x7f", "a\u0081", "a\ufffe", strings.Repeat("a", 1025), strings.Repeat("a/", 254) + "a"}
	b := fake(t, 0, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	for _, key := range held {
		if !holds(key) {
			t.Errorf("key %.20q is refused", key)
		}
	}
	for _, key := range refused {
		_, err := b.Stat(t.Context(), key)
		wantOnly(t, fmt.Sprintf("Stat of %.20q", key), err, backends.ErrInvalidKey)
	}
}
