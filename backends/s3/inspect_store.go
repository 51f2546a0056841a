package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/inspect"
)

// modes are all there are, in the order in which they are to be tried.
func modes() []mode {
	return []mode{{}, {md5: true}, {lookFirst: true}, {lookFirst: true, md5: true}}
}

// unsupported tells whether the store may have refused a request for a header
// that it does not know.
func unsupported(err error) bool {
	api, ok := errors.AsType[*apiError](err)
	return ok && (api.status == http.StatusBadRequest || api.status == http.StatusNotImplemented)
}

// put stores the object, in the first mode that the store does not refuse.
func (e *examination) put(ctx context.Context) backends.Finding {
	var first backends.Finding
	for i, m := range modes() {
		e.whole.set(m)
		found := e.scratch.Put().Examine(ctx)
		if found.Err == nil {
			return found
		}
		if i == 0 {
			first = found
		}
		if !unsupported(found.Err) {
			break
		}
	}
	e.whole.set(mode{})
	first.Err = inspect.Lacking(first.Err, "s3:PutObject"+e.furtherPermissions())
	return first
}

func (e *examination) furtherPermissions() string {
	text := ""
	if e.tagging != "" {
		text += ", and s3:PutObjectTagging for tags"
	}
	if e.cfg.ServerSideEncryption == "aws:kms" {
		text += ", and kms:GenerateDataKey for the key"
	}
	return text
}

// checksum looks for one that the store verifies.
func (e *examination) checksum(ctx context.Context) backends.Finding {
	for _, m := range modes() {
		if m.lookFirst || e.whole.get().md5 && !m.md5 {
			continue
		}
		m.lookFirst = e.whole.get().lookFirst
		switch verified, err := e.verifies(ctx, m); {
		case err != nil:
			return inspect.Wrong(err)
		case !verified:
		case m.md5:
			e.whole.set(m)
			return inspect.Fine("the store does not know CRC-32C; it verifies Content-MD5, which is sent instead")
		default:
			return inspect.Fine("the store verifies CRC-32C")
		}
	}
	return inspect.Doubtful("the store verifies neither CRC-32C nor Content-MD5: damage on the way to it is found when a file is opened, too late; " +
		"use a newer version of the store, and https")
}

// verifies tries to store an object with the checksum of another.
func (e *examination) verifies(ctx context.Context, m mode) (bool, error) {
	key := e.scratch.Key() + "-damaged"
	in := e.putInput(m, key, "", []byte("damaged"))
	in.ChecksumCRC32C, in.ContentMD5 = m.checksums([]byte("as it was"))
	_, err := e.client.PutObject(ctx, in)
	if err != nil && answer(err).status == http.StatusBadRequest {
		return true, nil
	}
	// Whatever the answer was, the object may be there.
	clear, cancel := context.WithTimeout(context.WithoutCancel(ctx), inspect.Patience)
	defer cancel()
	if left := e.Delete(clear, key, ""); left != nil {
		return false, fmt.Errorf("the object %s may be left in the bucket: %w", key, inspect.Lacking(left, "s3:DeleteObject"))
	}
	if err != nil {
		return false, failure(ctx, "create", key, err)
	}
	return false, nil
}

const overwrites = "the store does not honour If-None-Match, so that the daemon asks whether a key is taken before it stores, which is a request more; " +
	"two machines that store one UUID at the same moment, which Orthanc's random UUIDs make unlikely, are not kept from overwriting each other: " +
	"use a newer version of the store"

// conditional stores the object again, which must be refused.
func (e *examination) conditional(ctx context.Context) backends.Finding {
	again := e.scratch.ConditionalCreate()
	found := again.Examine(ctx)
	if m := e.whole.get(); errors.Is(found.Err, inspect.ErrOverwritten) && !m.lookFirst {
		m.lookFirst = true
		e.whole.set(m)
		found = again.Examine(ctx)
	}
	if found.Err == nil && e.whole.get().lookFirst {
		return inspect.Doubtful(overwrites)
	}
	return found
}

// inParts stores the object once more, as large ones go, which must be refused.
func (e *examination) inParts(ctx context.Context) backends.Finding {
	var first error
	for _, m := range modes() {
		if e.whole.get().md5 && !m.md5 {
			continue
		}
		e.parts.set(m)
		aborted, err := e.overwriteInParts(ctx)
		switch {
		case errors.Is(err, fs.ErrExist) && errors.Is(aborted, fs.ErrPermission):
			return inspect.Doubtful("a failed upload cannot be given up, so that its parts stay and cost: give these credentials the permission s3:AbortMultipartUpload")
		case errors.Is(err, fs.ErrExist) && m.lookFirst:
			return inspect.Doubtful(overwrites)
		case errors.Is(err, fs.ErrExist):
			return inspect.Fine("a large object can be stored, and is never overwritten")
		}
		if first == nil {
			first = cmp.Or(err, inspect.ErrOverwritten)
		}
		if err != nil && !unsupported(err) {
			break
		}
	}
	e.parts.set(mode{})
	return inspect.Wrong(fmt.Errorf("a large object cannot be stored: %w", first))
}

// overwriteInParts returns what became of the upload, and of giving it up.
func (e *examination) overwriteInParts(ctx context.Context) (aborted, err error) {
	key := e.scratch.Key()
	up, err := e.begin(ctx, key, "")
	if err != nil {
		return nil, failure(ctx, "create", key, err)
	}
	if _, err = up.run(ctx, []byte("part")); err == nil {
		return nil, nil
	}
	if aborted = up.abort(ctx); aborted != nil {
		aborted = failure(ctx, "create", key, aborted)
	}
	return aborted, failure(ctx, "create", key, err)
}
