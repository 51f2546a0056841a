package attachment

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"

	"orthanc-bucketfs/backends"
)

// Dirs returns, in ascending order, the values of AA under which the bucket
// holds something. It costs one request. In layout flat that would take a
// listing of the whole bucket; there it returns all values, without a request.
func (s *Store) Dirs(ctx context.Context) ([]byte, error) {
	if s.layout == Flat {
		return allDirs(), nil
	}
	dirs, err := s.dirsOf(ctx, s.bucket)
	if err != nil || s.fallback == nil {
		return dirs, err
	}
	older, err := s.dirsOf(ctx, s.fallback)
	dirs = append(dirs, older...)
	slices.Sort(dirs)
	return slices.Compact(dirs), err
}

func (s *Store) dirsOf(ctx context.Context, b backends.Bucket) ([]byte, error) {
	var dirs []byte
	err := s.eachPage(ctx, b, backends.ListOptions{Shallow: true}, func(page backends.Page) {
		for _, p := range page.Prefixes {
			if aa, ok := ParseDir(p[:len(p)-1]); ok {
				dirs = append(dirs, aa)
			}
		}
	})
	return dirs, err
}

func allDirs() []byte {
	dirs := make([]byte, 256)
	for i := range dirs {
		dirs[i] = byte(i)
	}
	return dirs
}

// ParseDir reads the name of a directory of the tree: two hex digits in lower
// case.
func ParseDir(name string) (byte, bool) {
	var b [1]byte
	if len(name) != 2 {
		return 0, false
	}
	if _, err := hex.Decode(b[:], []byte(name)); err != nil || hex.EncodeToString(b[:]) != name {
		return 0, false
	}
	return b[0], true
}

// SubDirs returns, in ascending order, the values of BB under which AA holds
// something. The listing of AA that it takes also serves Names, SubDirs and
// Stat for a few seconds.
func (s *Store) SubDirs(ctx context.Context, aa byte) ([]byte, error) {
	entries, err := s.dir(ctx, aa)
	var dirs []byte
	for _, e := range entries {
		if n := len(dirs); n == 0 || dirs[n-1] != e.uuid[1] {
			dirs = append(dirs, e.uuid[1])
		}
	}
	return dirs, err
}

// Names returns, in ascending order, the attachments in AA/BB.
func (s *Store) Names(ctx context.Context, aa, bb byte) ([]UUID, error) {
	entries, err := s.dir(ctx, aa)
	from, _ := slices.BinarySearchFunc(entries, bb, func(e entry, bb byte) int { return int(e.uuid[1]) - int(bb) })
	var names []UUID
	for _, e := range entries[from:] {
		if e.uuid[1] != bb {
			break
		}
		names = append(names, e.uuid)
	}
	return names, err
}

func (s *Store) dir(ctx context.Context, aa byte) ([]entry, error) {
	return s.listings.get(ctx, aa, func() ([]entry, error) { return s.loadDir(ctx, aa) })
}

func (s *Store) loadDir(ctx context.Context, aa byte) ([]entry, error) {
	var entries []entry
	err := s.eachPage(ctx, s.bucket, backends.ListOptions{Prefix: s.layout.prefix(aa)}, func(page backends.Page) {
		for _, obj := range page.Objects {
			if u, f, ok := s.layout.parse(obj.Key); ok && !s.unsettled.Hidden(obj.Key) {
				entries = append(entries, entry{u, obj.Size, obj.Modified.UnixNano(), f})
			}
		}
	})
	if err != nil || s.fallback == nil {
		return s.merge(entries), err
	}
	err = s.eachPage(ctx, s.fallback, backends.ListOptions{Prefix: Legacy.prefix(aa)}, func(page backends.Page) {
		for _, obj := range page.Objects {
			if u, ok := ParseKey(obj.Key); ok {
				entries = append(entries, entry{uuid: u, form: fallbackForm})
			}
		}
	})
	return s.merge(entries), err
}

// merge puts what listings found into the order of the UUIDs, each once. Of
// several objects of one attachment, that which Stat finds comes first: keys of
// layout legacy are listed before flat ones.
func (s *Store) merge(entries []entry) []entry {
	if s.layout == Flat || s.fallback != nil {
		slices.SortStableFunc(entries, func(a, b entry) int { return bytes.Compare(a.uuid[:], b.uuid[:]) })
	}
	return slices.CompactFunc(entries, func(a, b entry) bool { return a.uuid == b.uuid })
}

func (s *Store) eachPage(ctx context.Context, b backends.Bucket, opts backends.ListOptions, f func(backends.Page)) error {
	for {
		page, err := s.list(ctx, b, opts)
		if err != nil {
			return err
		}
		f(page)
		if page.Next == "" {
			return nil
		}
		opts.Token = page.Next
	}
}

func (s *Store) list(ctx context.Context, b backends.Bucket, opts backends.ListOptions) (page backends.Page, err error) {
	op := s.begin(Listed, opts.Prefix)
	defer func() { op.end(0, err) }()
	ctx, cancel := s.timing.Request.bound(ctx, 0)
	defer cancel()
	page, err = b.List(ctx, opts)
	if err != nil {
		return page, &Error{Op: "list", Key: opts.Prefix, Err: err}
	}
	return page, nil
}

// Reach makes one cheap request, to see whether the bucket answers.
func (s *Store) Reach(ctx context.Context) error {
	_, err := s.list(ctx, s.bucket, backends.ListOptions{Shallow: true, Limit: 1})
	return err
}
