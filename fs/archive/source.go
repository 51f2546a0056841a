package archive

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/attachment"
)

// chunkSize is how many bytes of a plain file are in memory at a time.
const chunkSize = 256 << 10

// files iterates over what is in a storage directory of Orthanc, in the order of
// keys. What is no attachment is foreign, a directory as a whole. Symbolic links
// are not followed. It stops after the first error.
func files(root *os.Root, prefix string) iter.Seq2[attachment.Record, error] {
	return func(yield func(attachment.Record, error) bool) {
		walk(root, ".", 0, func(r attachment.Record, err error) bool {
			return err == nil && !strings.HasPrefix(r.Object.Key, prefix) || yield(r, err)
		})
	}
}

// walk yields what is in dir, which is depth directories below the root.
func walk(root *os.Root, dir string, depth int, yield func(attachment.Record, error) bool) bool {
	const attachmentDepth = 2
	entries, err := fs.ReadDir(root.FS(), dir)
	if depth > 0 && errors.Is(err, fs.ErrNotExist) {
		return true // Orthanc removes directories with the last file in them
	}
	if err != nil {
		return yield(attachment.Record{}, withoutPath("reading a directory of files", err))
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		_, inTree := attachment.ParseDir(e.Name())
		if depth < attachmentDepth && inTree && e.IsDir() {
			if !walk(root, name, depth+1, yield) {
				return false
			}
			continue
		}
		u, ok := attachment.ParseKey(name)
		ok = ok && e.Type().IsRegular()
		if !yield(attachment.Record{UUID: u, Object: backends.Object{Key: name}, Foreign: !ok}, nil) {
			return false
		}
	}
	return true
}

// source is an open file of a storage directory.
type source struct {
	*os.File
	root *os.Root
	key  string
	info fs.FileInfo // as it was opened
}

// openSource opens the file under key. One that was modified after settled, or
// is not what it was when it was listed, wraps ErrUnsettled.
func openSource(root *os.Root, key string, settled time.Time) (*source, error) {
	f, err := root.OpenFile(key, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath("opening the file", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(withoutPath("opening the file", err), f.Close())
	}
	s := &source{f, root, key, info}
	err = s.check()
	if err == nil && info.ModTime().After(settled) {
		err = ErrUnsettled
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

// check reports a file that has changed since it was opened, or has no longer
// its name.
func (s *source) check() error {
	named, err := s.root.Lstat(s.key)
	if err != nil {
		return withoutPath("looking at the file", err)
	}
	now, err := s.Stat()
	if err != nil {
		return withoutPath("looking at the file", err)
	}
	if !named.Mode().IsRegular() || !os.SameFile(named, now) || now.Size() != s.info.Size() || !now.ModTime().Equal(s.info.ModTime()) {
		return ErrUnsettled
	}
	return nil
}

// equal compares all of the plain file f with an open attachment.
func equal(f *os.File, a *attachment.File) (bool, error) {
	theirs, ours := make([]byte, chunkSize), make([]byte, chunkSize)
	for off := int64(0); ; {
		n, err := f.ReadAt(theirs, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, withoutPath("reading the file", err)
		}
		m := a.ReadAt(ours, off)
		if !bytes.Equal(theirs[:n], ours[:m]) {
			return false, nil
		}
		if off += int64(n); n < chunkSize {
			return off == a.Info.Size, nil
		}
	}
}
