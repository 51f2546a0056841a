package inspect

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"orthanc-bucketfs/backends"
)

const maxBody = 64 << 10 // bytes of an answer that are read, so that its connection can be used again

// Anonymous sends a GET without credentials and returns the answer, whose body
// has been read and closed. Its errors do not hold the URL. It follows no
// redirect.
func Anonymous(ctx context.Context, rt http.RoundTripper, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxBody)
	resp.Body.Close()
	return resp, nil
}

// Public examines what everybody can see.
type Public struct {
	Transport http.RoundTripper // without credentials
	Object    string            // URL of an object that exists; empty if there is none
	Listing   string            // URL of the listing of the bucket
	Remedy    string            // what to do about it, in the provider's terms
}

// Step warns if the object or the listing can be had without credentials. That
// is no failure: what is sealed stays unreadable.
func (p Public) Step() Step {
	return Step{"public access", func(ctx context.Context) backends.Finding {
		for _, what := range []struct{ url, text string }{
			{p.Object, "everybody can read the objects without credentials"},
			{p.Listing, "everybody can list the objects without credentials"},
		} {
			if what.url == "" {
				continue
			}
			resp, err := Anonymous(ctx, p.Transport, what.url)
			switch {
			case err != nil:
				return Doubtful(fmt.Sprintf("could not be examined: %v", err))
			case resp.StatusCode/100 == 2:
				return Doubtful(what.text + ", which protects plaintext from nobody: " + p.Remedy)
			}
		}
		return Fine("none: requests without credentials are refused")
	}}
}
