// Package conditional is about stores that may lack conditional requests.
package conditional

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"

	"orthanc-bucketfs/backends"
)

// Deletes is what is known of a store's conditional DELETE. The zero value is
// for a store that honours the condition. An examination may change it while
// others use it.
type Deletes struct{ ignored atomic.Bool }

// Ignored notes that the store does not honour the condition.
func (d *Deletes) Ignored() { d.ignored.Store(true) }

// Honoured tells whether the store honours the condition, as far as is known.
func (d *Deletes) Honoured() bool { return !d.ignored.Load() }

// Condition returns the version that the DELETE of a version is to be sent on
// condition of. If the store does not honour that it is none, after a look that
// the object is of the version; where it is not, the error is ErrChanged.
// Between the look and the DELETE somebody else may store another one.
func (d *Deletes) Condition(ctx context.Context, b backends.Bucket, key, version string) (string, error) {
	if version == "" || d.Honoured() {
		return version, nil
	}
	obj, err := b.Stat(ctx, key)
	if errors.Is(err, fs.ErrNotExist) || err == nil && obj.Version != version {
		err = backends.ErrChanged
	}
	if err != nil {
		return "", &backends.Error{Op: "delete", Key: key, Err: err}
	}
	return "", nil
}
