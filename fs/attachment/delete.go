package attachment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/unsettled"
)

const (
	firstPause = 100 * time.Millisecond // before the second try of a delete
	longPause  = 5 * time.Second
)

// Delete removes the attachment u; one that is not there is fine. What fails
// is tried again until a deadline of its own, which ctx does not shorten: the
// caller may not look at the error. A delete that fails then is counted, and made up
// for in the background.
func (s *Store) Delete(ctx context.Context, u UUID) error { return s.DeleteShown(ctx, Info{UUID: u}) }

// DeleteShown is Delete of what the caller has been shown as info, perhaps a while
// ago.
func (s *Store) DeleteShown(ctx context.Context, info Info) (err error) {
	u := info.UUID
	op := s.begin(Deleted, u.Key())
	defer func() { op.end(0, err) }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timing.Delete)
	defer cancel()
	version := s.knownVersion(info)
	s.shelf.deleted(u)
	// Also afterwards: somebody may be looking at it meanwhile.
	s.shelf.forget(u)
	defer s.shelf.forget(u)
	if err := s.deleteRepeatedly(ctx, u, version); err != nil {
		s.Counters.FailedDeletes.Add(1)
		return &Error{Op: "delete", Key: u.Key(), Err: err}
	}
	s.listings.deleted(u)
	return nil
}

// DoubtDeleted notes that somebody may have wanted to delete u, without asking for it.
// It is not deleted; if it is there in the end, that is logged and counted.
func (s *Store) DoubtDeleted(u UUID) { s.unsettled.Doubt(u.Key()) }

// deleteRepeatedly deletes last what hides the rest, so that a failure midway
// never shows what was hidden. A version that is known is deleted as such: should
// the request arrive late, it takes nothing that was stored meanwhile.
func (s *Store) deleteRepeatedly(ctx context.Context, u UUID, version string) (err error) {
	d := s.unsettled.Delete(u.Key(), s.noted(version))
	defer func() { d.End(err) }()
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err = s.deleteObjects(ctx, u, d, version)
		if err == nil || final(err) {
			return err
		}
		if errors.Is(err, backends.ErrChanged) {
			var now string
			if now, err = s.versionNow(ctx, u); errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil {
				version = now
				d.Turn(s.noted(version))
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return cmp.Or(err, context.Cause(ctx))
		}
	}
}

// knownVersion returns the version of the object in layout legacy of what was shown,
// if that takes no request.
func (s *Store) knownVersion(shown Info) string {
	info, ok := s.shelf.find(shown.UUID)
	if !ok {
		info = shown
	}
	if info.at != (location{}) {
		return ""
	}
	return info.Version
}

// noted returns the version of u that may be deleted later, if this delete fails:
// where there may be another object of u, that could show it.
func (s *Store) noted(version string) string {
	if s.layout != Legacy || s.fallback != nil {
		return ""
	}
	return version
}

func (s *Store) versionNow(ctx context.Context, u UUID) (string, error) {
	obj, err := s.bucket.Stat(ctx, u.Key())
	return obj.Version, err
}

func (s *Store) deleteObjects(ctx context.Context, u UUID, d *unsettled.Deletion, version string) error {
	if s.fallback != nil {
		if err := s.fallback.Delete(ctx, u.Key(), ""); err != nil {
			return fmt.Errorf("in the fallback directory: %w", err)
		}
	}
	if s.layout == Flat {
		flat, err := s.flatObjects(ctx, u)
		for i := 0; err == nil && i < len(flat); i++ {
			err = s.bucket.Delete(ctx, flat[i].Key, "")
		}
		if err != nil {
			return err
		}
	}
	if !backends.ConditionsOf(s.bucket).Delete {
		version = "" // it would take a look
	}
	return d.Try(ctx, version)
}

// final reports that err is an answer and not trouble.
func final(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, backends.ErrInvalidKey)
}
