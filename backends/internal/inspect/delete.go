package inspect

import (
	"context"
	"errors"
	"fmt"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/conditional"
)

const deletesBlindly = "the store does not honour the condition of a delete, so that the daemon asks for the version before it deletes, which is a request more; " +
	"a delete that arrives late, after its answer was lost, can take away an image that was stored under the same UUID since: " +
	"the daemon guards what it stores itself, but not what other machines store in the same bucket: use a store, or a version of it, that honours If-Match of a delete"

var errBlind = errors.New(deletesBlindly)

// ConditionalDelete deletes the object on condition of its version, after it
// has tried to on condition of another one, which must be refused. What it finds
// out goes to d. A store may also refuse to know of conditions, with an error
// to which unsupported says yes.
func (s *Scratch) ConditionalDelete(another string, d *conditional.Deletes, unsupported func(error) bool) Step {
	return Step{"conditional delete", func(ctx context.Context) backends.Finding {
		switch err := s.deleteVersions(ctx, another); {
		case errors.Is(err, errBlind), err != nil && unsupported(err):
			d.Ignored()
			return Doubtful(deletesBlindly)
		case err != nil:
			return Wrong(fmt.Errorf("a version of an object cannot be tried to be deleted: %w", err))
		}
		return Fine("a version is deleted, and never another one")
	}}
}

// deleteVersions returns errBlind if the condition changes nothing, or keeps the
// object for good.
func (s *Scratch) deleteVersions(ctx context.Context, another string) error {
	obj, err := s.bucket.Stat(ctx, s.key)
	if err != nil {
		return err
	}
	switch err := s.bucket.Delete(ctx, s.key, another); {
	case err == nil:
		return errBlind
	case !errors.Is(err, backends.ErrChanged):
		return err
	}
	err = s.bucket.Delete(ctx, s.key, obj.Version)
	if errors.Is(err, backends.ErrChanged) {
		return errBlind
	}
	return err
}
