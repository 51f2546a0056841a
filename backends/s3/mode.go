package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// mode is how bodies go to the store. The zero value is for a store that can do
// everything.
type mode struct {
	lookFirst bool // the store does not honour If-None-Match: *
	md5       bool // it does not verify CRC-32C
}

// condition returns the header If-None-Match for an upload in place of a version.
func (m mode) condition(version string) *string {
	if m.lookFirst || version != "" {
		return nil
	}
	return aws.String("*")
}

// checksums returns the headers X-Amz-Checksum-Crc32c and Content-MD5 for a
// body, one of which is nil.
func (m mode) checksums(body []byte) (crc, digest *string) {
	if !m.md5 {
		return aws.String(crc32c(body)), nil
	}
	sum := md5.Sum(body)
	return nil, aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

// learnt is a mode that Inspect may change while others use it. An upload keeps
// to what it has begun with.
type learnt struct{ p atomic.Pointer[mode] }

func (l *learnt) set(m mode) { l.p.Store(&m) }

func (l *learnt) get() mode {
	if m := l.p.Load(); m != nil {
		return *m
	}
	return mode{}
}

// errTaken reports that the key was found taken before anything was sent.
var errTaken = errors.New("the store has an object under this key")

// look takes the place of the condition where the store does not honour it.
// Between it and the upload somebody else may take the key.
func (b *Bucket) look(ctx context.Context, m mode, key, version string) error {
	switch {
	case !m.lookFirst:
		return nil
	case version != "":
		return fmt.Errorf("the store has no conditional requests, without which nothing can be replaced safely: %w", errors.ErrUnsupported)
	}
	_, err := b.head(ctx, key, "")
	switch {
	case err == nil:
		return errTaken
	case answer(err).missing():
		return nil
	}
	return err
}
