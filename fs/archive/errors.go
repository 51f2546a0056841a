package archive

import (
	"errors"
	"fmt"
	"io/fs"
)

var (
	// ErrDifferent reports a plain file that is not what the bucket has under its
	// key. Neither is changed.
	ErrDifferent = errors.New("the file and the bucket differ, and both were left alone: find out which is right, and move the other away")
	// ErrUnsettled reports a file that may still be written to.
	ErrUnsettled = errors.New("the file was modified a moment ago, and was left alone: begin again to go on")
	// ErrOrphan reports a file that was deleted while it was being imported.
	ErrOrphan = errors.New("the file was deleted after it had been brought into the bucket: if Orthanc has deleted it, delete this object, too")
	// ErrFallback reports a Store in which a file might be found outside of the
	// bucket.
	ErrFallback = errors.New("the store has a fallback directory, and what is found there is not in the bucket")
	// ErrBusy reports a directory that another export writes to.
	ErrBusy = errors.New("another export writes to this directory: wait for its end")
)

// withoutPath takes the path out of err: it may hold a patient's name. What is
// missing on this machine is not missing in the bucket.
func withoutPath(what string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", what, errVanished)
	}
	return fmt.Errorf("%s: %w", what, err)
}

var errVanished = errors.New("it is no longer there")
