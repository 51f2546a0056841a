package httpconn

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrHostile reports an answer that no store gives: something else answers in
// its place, or it means harm.
var ErrHostile = errors.New("the answer is none that a store gives: look at the address, and for a proxy before it")

// What answers may have that are no contents of objects. The largest is a listing
// of 5,000 names from Azure: 4 MB, in 110,000 elements.
const (
	maxAnswer  = 32 << 20  // bytes
	maxRefusal = 256 << 10 // bytes of an error's description
	maxParts   = 1 << 18
	maxText    = 64 << 10 // bytes between two parts; the longest name has 6,144 when it is escaped
)

// Guarded returns next with a bound to what an answer makes its reader hold.
// The contents of an object, which are asked for with a range, are passed on as
// they are: whoever reads them knows how many bytes there may be.
func Guarded(next http.RoundTripper) http.RoundTripper { return guard{next} }

type guard struct{ next http.RoundTripper }

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.next.RoundTrip(req)
	if err != nil || resp.Body == nil || resp.Body == http.NoBody {
		return resp, err
	}
	good := resp.StatusCode >= 200 && resp.StatusCode <= 299
	switch ranged := req.Header.Get("Range") != "" || req.Header.Get("X-Ms-Range") != ""; {
	case good && ranged:
	case good:
		resp.Body = &bounded{ReadCloser: resp.Body, left: maxAnswer, shape: new(shape)}
	default:
		resp.Body = &bounded{ReadCloser: resp.Body, left: maxRefusal}
	}
	return resp, nil
}

// bounded is the body of an answer that may have so many bytes more.
type bounded struct {
	io.ReadCloser
	left  int64
	shape *shape // nil if it does not matter
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: it is too long", ErrHostile)
	}
	if b.shape != nil && !b.shape.takes(p[:n]) {
		return 0, fmt.Errorf("%w: it has too many parts, or one that is too long", ErrHostile)
	}
	return n, err
}

// shape counts the elements of XML, or the values of JSON, whose readers make
// hundreds of bytes of three.
type shape struct {
	begun  bool
	json   bool
	quoted bool // in a string of JSON
	last   byte
	parts  int
	text   int // bytes since the last part, or the last end of a string
}

func (s *shape) takes(p []byte) bool {
	for _, c := range p {
		if s.text++; s.text > maxText {
			return false
		}
		if !s.begun && c > ' ' && c < 0x7f { // neither white space nor a byte order mark
			s.begun, s.json = true, c == '{' || c == '['
		}
		switch {
		case !s.json:
			if s.last == '<' {
				s.text = 0
				if c != '/' {
					s.parts++
				}
			}
		case s.quoted && s.last == '\\':
			c = 0 // it may be a backslash itself
		case c == '"':
			s.quoted, s.text = !s.quoted, 0
		case !s.quoted && (c == '{' || c == '[' || c == ','):
			s.parts++
			s.text = 0
		}
		s.last = c
	}
	return s.parts <= maxParts
}
