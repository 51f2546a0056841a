package attachment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/budget"
	"orthanc-bucketfs/fs/memory"
	"orthanc-bucketfs/fs/unsettled"
)

// This file is for those that work on the objects of a bucket one by one, as
// they are stored. It leaves the fallback directory alone.

// Record is an object of the bucket, as a listing has it.
type Record struct {
	UUID   UUID
	Object backends.Object
	// Foreign reports that the key is not one of an attachment; then there is no
	// UUID.
	Foreign bool
}

// Records iterates over the objects whose keys begin with prefix, in the order of
// keys. Each page of them has a deadline. It stops after the first error.
func (s *Store) Records(ctx context.Context, prefix string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for opts := (backends.ListOptions{Prefix: prefix}); ; {
			page, err := s.list(ctx, s.bucket, opts)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, obj := range page.Objects {
				if !yield(s.record(obj), nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			opts.Token = page.Next
		}
	}
}

func (s *Store) record(obj backends.Object) Record {
	u, ok := s.layout.Parse(obj.Key)
	return Record{UUID: u, Object: obj, Foreign: !ok}
}

// Again returns what is under r's key now.
func (s *Store) Again(ctx context.Context, r Record) (Record, error) {
	ctx, cancel := s.timing.Request.bound(ctx, 0)
	defer cancel()
	obj, err := s.bucket.Stat(ctx, r.Object.Key)
	if err != nil {
		return Record{}, &Error{Op: "stat", Key: r.Object.Key, Err: err}
	}
	return s.record(obj), nil
}

// Verify fetches the very version that r is, unseals and authenticates it.
func (s *Store) Verify(ctx context.Context, r Record) error { return s.try(ctx, r.Object) }

// KeyOf reads which master key the very version that r is names, with a request
// for six bytes. It reports false for what does not begin as an envelope.
func (s *Store) KeyOf(ctx context.Context, r Record) (id uint32, sealed bool, err error) {
	ctx, cancel := s.timing.Request.bound(ctx, 0)
	defer cancel()
	var header [6]byte
	n, _, err := s.bucket.Read(ctx, r.Object.Key, r.Object.Version, header[:], 0)
	if err != nil {
		return 0, false, &Error{Op: "read", Key: r.Object.Key, Version: r.Object.Version, Err: err}
	}
	if !crypto.HasMagic(header[:n]) {
		return 0, false, nil
	}
	id, err = crypto.KeyID(header[:n])
	if err != nil {
		return 0, false, &Error{Op: "read", Key: r.Object.Key, Version: r.Object.Version, Err: err}
	}
	return id, true, nil
}

// Reseal opens the very version that r is, plaintext if plain is set, seals its
// content anew, under the current key with a fresh data key and nonce, and puts
// it in the place of that version. When it returns nil the new object has been
// read back. If the key holds another version by now, or nothing, the error wraps
// backends.ErrChanged, and what is there has been left alone. Beyond the budget
// it takes one MiB.
func (s *Store) Reseal(ctx context.Context, r Record, plain bool) error {
	err := s.reseal(ctx, r, location{key: r.Object.Key, plain: plain})
	s.shelf.forget(r.UUID)
	s.listings.forget(r.UUID)
	if err != nil {
		return &Error{Op: "reseal", Key: r.Object.Key, Version: r.Object.Version, Err: err}
	}
	return nil
}

func (s *Store) reseal(ctx context.Context, r Record, at location) error {
	size, err := s.codecAt(at).PlainSize(r.Object.Size)
	if err != nil {
		return err
	}
	head, tail := s.codec.Frame()
	buf := s.memory.New(budget.Write, head, tail)
	defer buf.Free()
	if err := buf.Allocate(ctx, size); err != nil {
		return err
	}
	if err := s.fetchInto(ctx, r, at, buf); err != nil {
		return err
	}
	content := sha256.Sum256(buf.Content())
	if err := s.codec.Seal(r.UUID, buf.Framed()); err != nil {
		return err
	}
	if err := s.takePlace(context.WithoutCancel(ctx), r, buf.Framed()); err != nil {
		return err
	}
	return s.opensTo(content, r, buf)
}

// opensTo proves that what is stored, which is in buf, opens to the content that
// it was sealed from: memory and processors fail, too.
func (s *Store) opensTo(content [sha256.Size]byte, r Record, buf *memory.Buffer) error {
	opened, err := s.codec.Open(r.UUID, backends.Object{}, buf.Framed())
	if err == nil && sha256.Sum256(opened) != content {
		err = crypto.ErrCorrupt
	}
	if err != nil {
		return fmt.Errorf("what was sealed does not open to what it was: restore it from a backup, and look for faults of this machine: %w", err)
	}
	return nil
}

// fetchInto makes the content of r that of buf, and verifies it.
func (s *Store) fetchInto(ctx context.Context, r Record, at location, buf *memory.Buffer) error {
	ctx, cancel := s.timing.Request.bound(ctx, r.Object.Size)
	defer cancel()
	stored := buf.Framed()
	if at.plain {
		stored = buf.Content()
	}
	want := Info{UUID: r.UUID, Version: r.Object.Version, at: at}
	n, obj, err := readRanges(ctx, s.bucket, want.key(), want.Version, stored)
	if err != nil {
		return changedIfGone(err)
	}
	if n != len(stored) || obj.Size != int64(n) {
		return fmt.Errorf("%w: %d bytes, expected %d", backends.ErrChanged, obj.Size, len(stored))
	}
	_, err = s.codecAt(at).Open(r.UUID, obj, stored)
	return err
}

// changedIfGone is what a missing object means to whoever replaces it.
func changedIfGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it was deleted", backends.ErrChanged)
	}
	return err
}

// readBackChunk is how many bytes are read at a time of what was stored.
const readBackChunk = 1 << 20

// takePlace puts body in the place of r, and reads it back: the version that it
// has become, so that other bytes there are damage, and not a change by somebody
// else. An error that leaves open what became of it is settled by that, too.
func (s *Store) takePlace(ctx context.Context, r Record, body []byte) error {
	bounded, cancel := s.timing.Commit.bound(ctx, int64(len(body)))
	defer cancel()
	obj, err := s.bucket.Replace(bounded, r.Object.Key, r.Object.Version, body)
	if err != nil && (final(err) || errors.Is(err, errors.ErrUnsupported)) {
		return err
	}
	version := ""
	if err == nil {
		version = obj.Version
	}
	settling, cancelSettling := s.timing.Settle.bound(ctx, int64(len(body)))
	defer cancelSettling()
	same, readErr := unsettled.Holds(settling, s.bucket, r.Object.Key, version, int64(len(body)), sha256.Sum256(body), readBackChunk)
	switch {
	case readErr == nil && same:
		return nil
	case err != nil:
		return changedIfGone(err)
	case readErr != nil:
		return changedIfGone(fmt.Errorf("reading back what was stored: %w", readErr))
	}
	return fmt.Errorf("%w: what was read back is not what was stored; verify it, and restore it from a backup if it is bad", crypto.ErrCorrupt)
}

// ProveReplace proves with an object of its own, which it deletes, that the
// bucket replaces one version and no other.
func (s *Store) ProveReplace(ctx context.Context) error {
	ctx, cancel := s.timing.Request.bound(ctx, 0)
	defer cancel()
	key := ProbePrefix + fmt.Sprintf("replace-%d", time.Now().UnixNano())
	body, err := s.sealProbe(key)
	if err != nil {
		return err
	}
	if err := s.createProbe(ctx, key, body); err != nil {
		return err
	}
	err = s.proveReplace(ctx, key, body)
	return errors.Join(err, s.deleteProbe(ctx, key))
}

func (s *Store) proveReplace(ctx context.Context, key string, body []byte) error {
	first, err := s.bucket.Stat(ctx, key)
	if err != nil {
		return err
	}
	other := append(body[:len(body):len(body)], 0)
	if _, err := s.bucket.Replace(ctx, key, first.Version, other); err != nil {
		return fmt.Errorf("the bucket does not replace an object: %w", err)
	}
	if _, err := s.bucket.Replace(ctx, key, first.Version, body); !errors.Is(err, backends.ErrChanged) {
		return fmt.Errorf("the bucket replaces an object that has changed, so that a deleted file could come back: %w", orUnexpected(err))
	}
	return nil
}
