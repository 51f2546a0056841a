package attachment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
)

// locate finds the object of u. In layout flat, one listing request more finds
// what is not under the legacy key.
func (s *Store) locate(ctx context.Context, u UUID) (backends.Object, error) {
	obj, err := s.bucket.Stat(ctx, u.Key())
	if s.layout != Flat || !errors.Is(err, fs.ErrNotExist) {
		return obj, err
	}
	flat, err := s.flatObjects(ctx, u)
	if err != nil {
		return backends.Object{}, err
	}
	if len(flat) == 0 {
		return backends.Object{}, fs.ErrNotExist
	}
	return flat[0], nil
}

// flatObjects returns the objects of u under flat names, normally one at most.
func (s *Store) flatObjects(ctx context.Context, u UUID) ([]backends.Object, error) {
	var found []backends.Object
	for obj, err := range backends.All(ctx, s.bucket, u.String()+".") {
		if err != nil {
			return nil, err
		}
		if _, ok := s.layout.Parse(obj.Key); ok {
			found = append(found, obj)
		}
	}
	return found, nil
}

// checkName refuses an object whose name says that it is sealed where nothing
// can be unsealed: its bytes would pass for the file.
func (s *Store) checkName(key string) error {
	if _, ok := s.codec.(plain); ok && namedSealed(key) {
		return fmt.Errorf("%w: %s is sealed, and encryption is off", crypto.ErrUnknownKey, key)
	}
	return nil
}
