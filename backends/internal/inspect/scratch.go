package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"orthanc-bucketfs/backends"
)

// ErrOverwritten reports that an object was stored over another.
var ErrOverwritten = errors.New("the store does not refuse to overwrite an object, so that one image could take another's place: " +
	"use a store, or a version of it, that honours conditional writes")

// Scratch is an object of an examination's own, and the steps that store it,
// look at it, and delete it. Get, List and Delete need Put before them.
type Scratch struct {
	bucket backends.Bucket
	key    string
	body   []byte
	stored bool // as far as is known
	stuck  bool // that it cannot be deleted has been reported
}

// NewScratch makes no request. key must be one that nobody else uses.
func NewScratch(b backends.Bucket, key string) *Scratch {
	return &Scratch{bucket: b, key: key, body: []byte("An object of orthanc-bucketfs check. It may be deleted. " + key)}
}

// Key returns the object's key.
func (s *Scratch) Key() string { return s.key }

// create does not end with ctx: where its outcome were unknown, the object
// might appear after it has been cleared away.
func (s *Scratch) create(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
	defer cancel()
	s.stored = true
	_, err := s.bucket.Create(ctx, s.key, s.body)
	return err
}

// Put stores the object.
func (s *Scratch) Put() Step {
	return Step{"put", func(ctx context.Context) backends.Finding {
		if err := s.create(ctx); err != nil {
			s.stored = !errors.Is(err, fs.ErrPermission)
			return Wrong(fmt.Errorf("an object cannot be stored: %w", err))
		}
		return Fine("an object can be stored")
	}}
}

// ConditionalCreate stores the object once more, which must be refused.
func (s *Scratch) ConditionalCreate() Step {
	return Step{"conditional create", func(ctx context.Context) backends.Finding {
		switch err := s.create(ctx); {
		case errors.Is(err, fs.ErrExist):
			return Fine("an object is never overwritten")
		case err != nil:
			return Wrong(fmt.Errorf("an object that exists cannot be tried to be stored again: %w", err))
		}
		return Wrong(ErrOverwritten)
	}}
}

// Get reads the object back.
func (s *Scratch) Get() Step {
	return Step{"get", func(ctx context.Context) backends.Finding {
		p := make([]byte, len(s.body)+1)
		n, _, err := s.bucket.Read(ctx, s.key, "", p, 0)
		switch {
		case err != nil:
			return Wrong(fmt.Errorf("the object cannot be read back: %w", err))
		case !bytes.Equal(p[:n], s.body):
			return Wrong(errors.New("the object that is read back is not the one that was stored: look for a proxy that changes contents"))
		}
		return Fine("it can be read back")
	}}
}

// List finds the object in a listing.
func (s *Scratch) List() Step {
	return Step{"list", func(ctx context.Context) backends.Finding {
		page, err := s.bucket.List(ctx, backends.ListOptions{Prefix: s.key})
		switch {
		case err != nil:
			return Wrong(fmt.Errorf("objects cannot be listed: %w", err))
		case len(page.Objects) != 1 || page.Objects[0].Key != s.key:
			return Wrong(errors.New("the object that was stored is not listed: use a store with consistent listings"))
		}
		return Fine("it is listed")
	}}
}

// Delete deletes the object.
func (s *Scratch) Delete() Step {
	return Step{"delete", func(ctx context.Context) backends.Finding {
		if err := s.clear(ctx); err != nil {
			s.stuck = true
			return Wrong(fmt.Errorf("the object %s cannot be deleted: %w", s.key, err))
		}
		return Fine("it can be deleted")
	}}
}

// Missing looks for the object, which must be reported as missing by now.
// permission is what the provider wants for that.
func (s *Scratch) Missing(permission string) Step {
	return Step{"missing object", func(ctx context.Context) backends.Finding {
		switch _, err := s.bucket.Stat(ctx, s.key); {
		case errors.Is(err, fs.ErrNotExist):
			return Fine("is told from one that is refused")
		case errors.Is(err, fs.ErrPermission):
			return Wrong(fmt.Errorf("an object that does not exist is refused instead of reported as missing, so that nothing could be stored: "+
				"give these credentials the permission %s: %w", permission, err))
		case err != nil:
			return Wrong(fmt.Errorf("whether an object exists cannot be found out: %w", err))
		}
		return Wrong(errors.New("an object that was deleted is still there: use a store that is consistent"))
	}}
}

// Run takes the steps and then deletes the object if one of them has stored it,
// whatever they have found, and also if ctx has ended meanwhile.
func (s *Scratch) Run(ctx context.Context, steps ...Step) []backends.Finding {
	findings := Run(ctx, steps...)
	if !s.stored {
		return findings
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
	defer cancel()
	if err := s.clear(ctx); err != nil && !s.stuck {
		err = fmt.Errorf("the object %s may be left in the bucket: %w", s.key, err)
		findings = append(findings, backends.Finding{Item: "clearing up", Err: err})
	}
	return findings
}

func (s *Scratch) clear(ctx context.Context) error {
	err := s.bucket.Delete(ctx, s.key, "")
	if err == nil {
		s.stored = false
	}
	return err
}
