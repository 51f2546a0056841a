package archive

import (
	"errors"
	"io/fs"

	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
)

// Failure is an object that something is wrong with.
type Failure struct {
	Key     string
	Version string // its ETag
	Err     error
}

// Bad reports that the object itself is what is wrong, and not the way to it.
func (f Failure) Bad() bool {
	return errors.Is(f.Err, crypto.ErrCorrupt) || errors.Is(f.Err, crypto.ErrUnknownKey) || errors.Is(f.Err, crypto.ErrRetiredKey)
}

// KeyID returns the master key id in the envelope, if it is known.
func (f Failure) KeyID() string {
	var a *attachment.Error
	if errors.As(f.Err, &a) {
		return a.KeyID
	}
	return ""
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
