package httpconn

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// canned answers with a status and a body.
type canned struct {
	status int
	body   io.Reader
}

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(c.body), Request: req}, nil
}

// zeros has no parts at all.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// long is as long as an answer may be, in few parts.
func long() io.Reader {
	return many(maxAnswer/maxText, "<"+strings.Repeat("a", maxText-1))
}

func many(n int, piece string) io.Reader { return strings.NewReader(strings.Repeat(piece, n)) }

func TestGuarded(t *testing.T) {
	ranged := http.Header{"Range": {"bytes=0-9"}}
	for _, test := range []struct {
		name   string
		status int
		header http.Header
		body   io.Reader
		bad    bool
	}{
		{"longest", 200, nil, long(), false},
		{"too long", 200, nil, io.MultiReader(long(), strings.NewReader("<")), true},
		{"longest text", 200, nil, io.LimitReader(zeros{}, maxText), false},
		{"text too long", 200, nil, io.LimitReader(zeros{}, maxText+1), true},
		{"text too long in a string", 200, nil, io.MultiReader(strings.NewReader(`{"a":"`), io.LimitReader(zeros{}, maxText+1)), true},
		{"text that is too long in an element", 200, nil, io.MultiReader(strings.NewReader("<a>"), io.LimitReader(zeros{}, maxText)), true},
		{"longest refusal", 404, nil, io.LimitReader(zeros{}, maxRefusal), false},
		{"refusal too long", 404, nil, io.LimitReader(zeros{}, maxRefusal+1), true},
		{"refusal of a range", 416, ranged, io.LimitReader(zeros{}, maxRefusal+1), true},
		{"content", 206, ranged, io.LimitReader(zeros{}, maxAnswer+1), false},
		{"content that is XML", 206, ranged, many(maxParts+1, "<a>"), false},
		{"content of Azure", 206, http.Header{"X-Ms-Range": {"bytes=0-9"}}, io.LimitReader(zeros{}, maxAnswer+1), false},
		{"elements", 200, nil, many(maxParts, "<a/>"), false},
		{"elements in pairs", 200, nil, many(maxParts, "<a></a>"), false},
		{"too many elements", 200, nil, many(maxParts+1, "<a/>"), true},
		{"objects", 200, nil, io.MultiReader(strings.NewReader("[1"), many(maxParts-1, ",1")), false},
		{"too many objects", 200, nil, io.MultiReader(strings.NewReader(" [1"), many(maxParts, ",1")), true},
		{"strings", 200, nil, io.MultiReader(strings.NewReader("["), many(20, `"\\\"`+strings.Repeat("{,<", 20_000)+`"`)), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp, err := Guarded(canned{test.status, iotest.HalfReader(test.body)}).RoundTrip(&http.Request{Method: "GET", Header: test.header})
			if err != nil {
				t.Fatal(err)
			}
			if _, err = io.Copy(io.Discard, resp.Body); test.bad != errors.Is(err, ErrHostile) || !test.bad && err != nil {
				t.Errorf("error %v", err)
			}
		})
	}
}
