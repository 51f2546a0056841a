package unsettled

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"

	"orthanc-bucketfs/backends"
)

const (
	markBytes   = 4 << 10  // of an object's beginning that its mark depends on
	digestChunk = 64 << 10 // bytes read at a time to compare a whole object
)

// Mark tells one upload from another.
type Mark [16]byte

// MarkOf returns the mark of an object with these bytes.
func MarkOf(body []byte) Mark { return markOf(int64(len(body)), body) }

// markOfVersion returns the mark of a version of an object, or zero if it is empty.
func markOfVersion(version string) (m Mark) {
	if version != "" {
		h := sha256.Sum256([]byte(version))
		copy(m[:], h[:])
	}
	return m
}

func markOf(size int64, beginning []byte) Mark {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(size))
	h.Write(n[:])
	h.Write(beginning[:min(len(beginning), markBytes)])
	return Mark(h.Sum(nil))
}

// Upload describes an object that was sent.
type Upload struct {
	Mark    Mark
	Size    int64
	Digest  [sha256.Size]byte // of the object
	Content [sha256.Size]byte // of the file that is sealed in it
}

// upload is one whose outcome is open.
type upload struct {
	Upload
	known bool // has more than its mark: it is of this process
	gone  bool // it has been found and deleted
}

// markAt returns the mark of the object under key. The error is fs.ErrNotExist
// if there is none.
func markAt(ctx context.Context, b backends.Bucket, key string) (Mark, backends.Object, error) {
	var beginning [markBytes]byte
	n, obj, err := b.Read(ctx, key, "", beginning[:], 0)
	if err != nil {
		return Mark{}, backends.Object{}, err
	}
	return markOf(obj.Size, beginning[:n]), obj, nil
}

// Holds reports whether that version of the object under key has so many bytes,
// with that digest. If version is empty, it is the one that is there. It reads
// chunk bytes at a time.
func Holds(ctx context.Context, b backends.Bucket, key, version string, size int64, digest [sha256.Size]byte, chunk int64) (bool, error) {
	p := make([]byte, min(chunk, size+1))
	read := sha256.New()
	for off := int64(0); ; {
		n, obj, err := b.Read(ctx, key, version, p, off)
		if err != nil {
			return false, err
		}
		if obj.Size != size {
			return false, nil
		}
		version = obj.Version
		read.Write(p[:n])
		if off += int64(n); off == size {
			return [sha256.Size]byte(read.Sum(nil)) == digest, nil
		}
		if n == 0 {
			return false, io.ErrUnexpectedEOF
		}
	}
}

// absentIsFine turns a missing object into no error.
func absentIsFine(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
