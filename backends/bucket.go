package backends

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

var (
	// ErrChanged reports that the object is no longer the version asked for.
	ErrChanged = errors.New("object has changed")
	// ErrNotSent reports a call of which nothing was sent to the store.
	ErrNotSent = errors.New("nothing was sent")
	// ErrInvalidKey reports a key that no bucket can hold.
	ErrInvalidKey = errors.New("invalid object key")
)

// Object describes one version of a stored object.
type Object struct {
	Key      string
	Size     int64     // bytes in the store
	Modified time.Time // when this version was stored
	Version  string    // opaque and never empty; differs between any two versions of a key (an ETag)
}

// Page is one answer of List.
type Page struct {
	Objects  []Object
	Prefixes []string // shallow listings only: common prefixes, each ending in "/"
	Next     string   // token of the next page; empty after the last one
}

// ListOptions selects what List returns.
type ListOptions struct {
	Prefix  string // only keys that start with it; empty for all
	Shallow bool   // fold what lies below the next "/" after Prefix into Page.Prefixes
	Token   string // Page.Next of the page before; empty for the first page
	Limit   int    // at most this many entries a page; 0 for the backend's own page size
}

// Bucket is a store of objects. The package comment states its promises.
type Bucket interface {
	// Stat describes the object under key.
	Stat(ctx context.Context, key string) (Object, error)

	// Read fills p with the object's bytes from offset off and describes the
	// object. It returns n < len(p) with a nil error exactly when the object
	// ends first; an off at or beyond the end gives n == 0. A body that is cut
	// short is an error that wraps io.ErrUnexpectedEOF. With a non-empty
	// version any other version is ErrChanged.
	Read(ctx context.Context, key, version string, p []byte, off int64) (n int, obj Object, err error)

	// Create stores body under key unless the key is taken, and describes the
	// new object. It does not change body, and does not use it after it
	// returns.
	Create(ctx context.Context, key string, body []byte) (Object, error)

	// Replace stores body under key in place of the given version of the
	// object, and describes the new version. If the key holds another version,
	// or nothing, that is ErrChanged. It does not change body, and does not use
	// it after it returns.
	Replace(ctx context.Context, key, version string, body []byte) (Object, error)

	// Delete removes the object under key, if there is one. With a non-empty
	// version it removes that one and no other: it returns nil, or ErrChanged
	// where the store says so, if the key holds another version or nothing. It
	// sends one request and never repeats it: see the package's promises.
	Delete(ctx context.Context, key, version string) error

	// List returns one page, normally at the price of one request.
	List(ctx context.Context, opts ListOptions) (Page, error)

	// String names the bucket for people, as in "dir /srv/bucket". It holds
	// no secrets.
	String() string
}

// Error adds to err what is known about the call that failed. Neither field
// holds a secret.
type Error struct {
	Op        string // "stat", "read", "create", "replace", "delete", "list", "sweep"
	Key       string // object key, or the prefix of a listing
	RequestID string // the provider's, if it gave one
	Err       error
}

func (e *Error) Error() string {
	msg := e.Op + " " + e.Key + ": " + e.Err.Error()
	if e.RequestID != "" {
		msg += " (request id " + e.RequestID + ")"
	}
	return msg
}

func (e *Error) Unwrap() error { return e.Err }

// CheckVersion returns an error wrapping ErrChanged if version is empty: no
// object has that one.
func CheckVersion(op, key, version string) error {
	if version == "" {
		return &Error{Op: op, Key: key, Err: fmt.Errorf("%w: no version was given", ErrChanged)}
	}
	return nil
}

// CheckKey returns an error wrapping ErrInvalidKey unless key can name an
// object.
func CheckKey(op, key string) error {
	if key == "." || !fs.ValidPath(key) {
		return &Error{Op: op, Key: key, Err: ErrInvalidKey}
	}
	return nil
}
