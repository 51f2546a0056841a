package attachment

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"orthanc-bucketfs/backends"
)

// ProbePrefix begins the keys of the objects that are made to try a bucket.
// They are not attachments, so no tree ever shows them.
const ProbePrefix = "orthanc-bucketfs-probe-"

// Probe proves with an object of its own, which it deletes, that the bucket can
// do what a Store needs: create, refuse to overwrite, read, list and delete, and
// that what was sealed opens again. What it has begun to store it deletes also
// when ctx ends.
func (s *Store) Probe(ctx context.Context) error {
	ctx, cancel := s.timing.Request.bound(ctx, 0)
	defer cancel()
	key := ProbePrefix + rand.Text()
	body, err := s.sealProbe(key)
	if err != nil {
		return err
	}
	err = s.createProbe(ctx, key, body)
	if errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err == nil {
		err = s.probe(ctx, key, body)
	}
	if deleted := s.deleteProbe(ctx, key); deleted != nil {
		return errors.Join(err, fmt.Errorf("deleting an object: %w", deleted))
	}
	if err != nil {
		return err
	}
	if _, err := s.bucket.Stat(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("a deleted object is not reported as missing (S3 does that only with the permission ListBucket): %w", orUnexpected(err))
	}
	return nil
}

// ProbeWrite proves that b takes an object, which it deletes. An object that an
// earlier call has left under key proves it as well.
func ProbeWrite(ctx context.Context, b backends.Bucket, codec Codec, key string) error {
	body, err := sealProbe(codec, key)
	if err != nil {
		return err
	}
	if _, err := b.Create(ctx, key, body); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return b.Delete(ctx, key, "")
}

func (s *Store) sealProbe(key string) ([]byte, error) { return sealProbe(s.codec, key) }

func sealProbe(codec Codec, key string) ([]byte, error) {
	head, tail := codec.Frame()
	body := make([]byte, head+len(key)+tail)
	copy(body[head:], key)
	if err := codec.Seal(UUID{}, body); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return body, nil
}

// createProbe does not end with ctx: where its outcome were unknown, the object
// might appear after it has been deleted.
func (s *Store) createProbe(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := s.timing.Request.bound(context.WithoutCancel(ctx), 0)
	defer cancel()
	if _, err := s.bucket.Create(ctx, key, body); err != nil {
		return fmt.Errorf("storing an object: %w", err)
	}
	return nil
}

func (s *Store) deleteProbe(ctx context.Context, key string) error {
	ctx, cancel := s.timing.Request.bound(context.WithoutCancel(ctx), 0)
	defer cancel()
	return s.bucket.Delete(ctx, key, "")
}

var errUnexpected = errors.New("the request succeeded")

func orUnexpected(err error) error {
	if err == nil {
		return errUnexpected
	}
	return err
}

func (s *Store) probe(ctx context.Context, key string, body []byte) error {
	if err := s.createProbe(ctx, key, body); !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the bucket does not refuse to overwrite an object: %w", orUnexpected(err))
	}
	got := make([]byte, len(body)+1)
	n, obj, err := s.bucket.Read(ctx, key, "", got, 0)
	if err != nil {
		return fmt.Errorf("reading an object: %w", err)
	}
	if !bytes.Equal(got[:n], body) {
		return errors.New("an object that was read is not the one that was stored")
	}
	content, err := s.codec.Open(UUID{}, obj, got[:n])
	if err != nil {
		return fmt.Errorf("opening what was just sealed: %w", err)
	}
	if string(content) != key {
		return errors.New("what was just sealed opens to something else")
	}
	page, err := s.bucket.List(ctx, backends.ListOptions{Prefix: key})
	if err != nil {
		return fmt.Errorf("listing objects: %w", err)
	}
	if len(page.Objects) != 1 || page.Objects[0].Key != key {
		return errors.New("an object that was stored is not listed")
	}
	return nil
}

// SweepProbes deletes what probes from before a time have left behind because
// they were killed, unless keep is set, and returns how many objects that were.
func (s *Store) SweepProbes(ctx context.Context, before time.Time, keep bool) (int, error) {
	n := 0
	for opts := (backends.ListOptions{Prefix: ProbePrefix}); ; {
		page, err := s.list(ctx, s.bucket, opts)
		if err != nil {
			return n, err
		}
		for _, obj := range page.Objects {
			if !obj.Modified.Before(before) {
				continue
			}
			n++
			if keep {
				continue
			}
			if err := s.deleteProbe(ctx, obj.Key); err != nil {
				return n, err
			}
		}
		if page.Next == "" {
			return n, nil
		}
		opts.Token = page.Next
	}
}

// samplePage is how many objects of a directory Sample chooses the smallest
// from.
const samplePage = 20

// Sample opens one attachment in each of up to n directories that are spread
// over the bucket, so that one damaged object does not speak for all. It
// returns how many opened, and the errors of those that did not.
func (s *Store) Sample(ctx context.Context, n int) (opened int, failures []error, err error) {
	prefixes, err := s.samplePrefixes(ctx, n)
	if err != nil {
		return 0, nil, err
	}
	for _, prefix := range prefixes {
		switch err := s.samplePrefix(ctx, prefix); {
		case err == nil:
			opened++
		case !errors.Is(err, fs.ErrNotExist): // nothing there, or deleted since it was listed
			failures = append(failures, err)
		}
	}
	return opened, failures, nil
}

// samplePrefixes returns what the keys in up to n directories of the bucket
// begin with. In layout flat, where nobody knows which directories hold
// something, it adds the whole bucket.
func (s *Store) samplePrefixes(ctx context.Context, n int) (prefixes []string, err error) {
	dirs := allDirs()
	if s.layout == Flat {
		prefixes = append(prefixes, "")
	} else {
		dirs, err = s.dirsOf(ctx, s.bucket)
	}
	n = min(n, len(dirs))
	for i := range n {
		prefixes = append(prefixes, s.layout.prefix(dirs[i*len(dirs)/n]))
	}
	return prefixes, err
}

func (s *Store) samplePrefix(ctx context.Context, prefix string) error {
	page, err := s.list(ctx, s.bucket, backends.ListOptions{Prefix: prefix, Limit: samplePage})
	if err != nil {
		return err
	}
	attachments := slices.DeleteFunc(page.Objects, func(obj backends.Object) bool {
		_, ok := s.layout.Parse(obj.Key)
		return !ok
	})
	if len(attachments) == 0 {
		return fs.ErrNotExist
	}
	return s.try(ctx, slices.MinFunc(attachments, func(a, b backends.Object) int { return cmp.Compare(a.Size, b.Size) }))
}

// try opens the attachment whose object a listing has found.
func (s *Store) try(ctx context.Context, obj backends.Object) error {
	u, _ := s.layout.Parse(obj.Key)
	f, err := s.examine(ctx, obj)
	if err != nil {
		return err
	}
	info, err := s.info("open", u, f, time.Now())
	if err != nil {
		return err
	}
	// It is to come from the bucket, and whoever opens it next has the same right.
	s.shelf.forget(u)
	defer s.shelf.forget(u)
	file, err := s.Open(ctx, info)
	if err != nil {
		return err
	}
	file.Close()
	return nil
}
