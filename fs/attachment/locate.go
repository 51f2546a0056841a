package attachment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
)

// location is where the object of an attachment is, and what it holds.
type location struct {
	key      string // empty for UUID.Key
	plain    bool   // plaintext, where others are envelopes
	fallback bool   // in the fallback directory
}

// mayMove reports that the attachment may be elsewhere when it is gone from
// here: imported from the fallback directory, or under another name.
func (l location) mayMove() bool { return l.fallback || l.key != "" }

func (s *Store) codecAt(l location) Codec {
	if l.plain {
		return unsealed{}
	}
	return s.codec
}

func (s *Store) bucketAt(l location) backends.Bucket {
	if l.fallback {
		return s.fallback
	}
	return s.bucket
}

// found is an object that was found.
type found struct {
	obj             backends.Object
	plain, fallback bool   // as in location
	first           *first // what came with it, which is the caller's; or nil
}

// locate finds the object of u: under its legacy key, else under a flat name
// if the layout has them, else in the fallback directory. The error is
// fs.ErrNotExist only if all of them say so.
func (s *Store) locate(ctx context.Context, u UUID) (found, error) {
	f, err := s.look(ctx, u)
	if s.layout == Flat && errors.Is(err, fs.ErrNotExist) {
		f, err = s.lookFlat(ctx, u)
	}
	if s.fallback != nil && errors.Is(err, fs.ErrNotExist) {
		f, err = s.lookBack(ctx, u)
	}
	return f, err
}

// there reports whether the attachment with a key is anywhere, without fetching
// anything of it.
func (s *Store) there(ctx context.Context, key string) (bool, error) {
	u, ok := ParseKey(key)
	if !ok {
		return false, nil
	}
	ctx, cancel := s.timing.Request.bound(ctx, 0)
	defer cancel()
	if there, err := s.stored(ctx, u); there || err != nil || s.fallback == nil {
		return there, err
	}
	_, err := s.fallback.Stat(ctx, u.Key())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// look finds u under its legacy key. An upload whose outcome is open is not there.
func (s *Store) look(ctx context.Context, u UUID) (found, error) {
	switch hidden, err := s.unsettled.Hides(ctx, u.Key()); {
	case err != nil:
		return found{}, err
	case hidden:
		return found{}, fs.ErrNotExist
	case s.mixed:
		return sniff(ctx, s.bucket, u.Key(), "")
	}
	obj, first, err := s.peek(ctx, u)
	return found{obj: obj, first: first}, err
}

func (s *Store) lookFlat(ctx context.Context, u UUID) (found, error) {
	flat, err := s.flatObjects(ctx, u)
	if err != nil {
		return found{}, err
	}
	if len(flat) == 0 {
		return found{}, fs.ErrNotExist
	}
	return s.examine(ctx, flat[0])
}

// lookBack finds u in the fallback directory. The plugin stores envelopes there
// if it is told to write to the file system with encryption on.
func (s *Store) lookBack(ctx context.Context, u UUID) (f found, err error) {
	if _, ok := s.codec.(plain); ok {
		f.obj, err = s.fallback.Stat(ctx, u.Key())
	} else {
		f, err = sniff(ctx, s.fallback, u.Key(), "")
	}
	f.fallback = true
	if err != nil {
		return found{}, fmt.Errorf("in the fallback directory: %w", err)
	}
	return f, nil
}

// examine finds out what an object from a listing holds.
func (s *Store) examine(ctx context.Context, obj backends.Object) (found, error) {
	if !s.mixed || namedSealed(obj.Key) {
		return found{obj: obj}, nil
	}
	return sniff(ctx, s.bucket, obj.Key, obj.Version)
}

// sniff describes an object by reading its first bytes, at the price of a Stat.
func sniff(ctx context.Context, b backends.Bucket, key, version string) (found, error) {
	var header [2]byte
	n, obj, err := b.Read(ctx, key, version, header[:], 0)
	return found{obj: obj, plain: !crypto.HasMagic(header[:n])}, err
}

// flatObjects returns the objects of u under flat names, normally one at most.
func (s *Store) flatObjects(ctx context.Context, u UUID) ([]backends.Object, error) {
	var flat []backends.Object
	for obj, err := range backends.All(ctx, s.bucket, u.String()+".") {
		if err != nil {
			return nil, err
		}
		if _, ok := s.layout.Parse(obj.Key); ok {
			flat = append(flat, obj)
		}
	}
	return flat, nil
}

// checkName refuses an object whose name says that it is sealed where nothing
// can be unsealed: its bytes would pass for the file.
func (s *Store) checkName(key string) error {
	if _, ok := s.codec.(plain); ok && namedSealed(key) {
		return fmt.Errorf("%w: %s is sealed, and encryption is off", crypto.ErrUnknownKey, key)
	}
	return nil
}
