package attachment

import (
	"errors"
	"log/slog"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
)

var (
	// ErrCommitted reports a change to an attachment that is committed.
	ErrCommitted = errors.New("attachment is committed and cannot be changed")
	// ErrDiscarded reports the use of a Writer that was discarded.
	ErrDiscarded = errors.New("attachment was discarded")
	// ErrDeleted reports a write to an attachment that was deleted meanwhile.
	ErrDeleted = errors.New("attachment was deleted")
)

// Error says which attachment an error is about, and what is known of its
// object.
type Error struct {
	Op      string // "stat", "open", "write", "commit", "delete", "list"
	Key     string // object key below the root path
	Version string // the object's version (ETag), if known
	KeyID   string // master key id in the envelope, if known
	Shared  bool   // another caller has been given the same failure, of the same request
	Err     error
}

func (e *Error) Error() string { return e.Op + " attachment " + e.Key + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// IsShared reports that another caller has been given the failure that err is.
func IsShared(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Shared
}

// Attrs returns what a log line about err should hold: the error and, where
// known, the object's key, its version, the master key id and the provider's
// request id.
func Attrs(err error) []any {
	attrs := []any{slog.Any("error", err)}
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	var a *Error
	if errors.As(err, &a) {
		add("key", a.Key)
		add("etag", a.Version)
		add("key_id", a.KeyID)
	}
	var b *backends.Error
	if errors.As(err, &b) {
		add("request_id", b.RequestID)
	}
	return attrs
}

// keyID returns the master key id of an envelope for a message, or nothing.
func keyID(c Codec, stored []byte) string {
	if _, ok := c.(sealed); !ok {
		return ""
	}
	id, err := crypto.KeyID(stored)
	if err != nil {
		return ""
	}
	return formatKeyID(id)
}
