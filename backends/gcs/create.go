package gcs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	raw "google.golang.org/api/storage/v1"

	"orthanc-bucketfs/backends"
)

const (
	contentType   = "application/octet-stream"
	cancelTimeout = 5 * time.Second
	// How long the SDK goes on retrying one piece. The context ends sooner.
	pieceRetryTime = 24 * time.Hour
)

func (b *Bucket) Create(ctx context.Context, key string, body []byte) (obj backends.Object, err error) {
	if err := backends.CheckKey("create", key); err != nil {
		return backends.Object{}, err
	}
	err = b.do(ctx, "create", key, func(ctx context.Context, c *call) error {
		obj, err = b.store(ctx, c, key, 0, body)
		return err
	})
	return obj, err
}

func (b *Bucket) Replace(ctx context.Context, key, version string, body []byte) (obj backends.Object, err error) {
	if err := backends.CheckKey("replace", key); err != nil {
		return backends.Object{}, err
	}
	generation, err := strconv.ParseInt(version, 10, 64)
	if err != nil || generation <= 0 {
		return backends.Object{}, notVersion("replace", key, version)
	}
	err = b.do(ctx, "replace", key, func(ctx context.Context, c *call) error {
		obj, err = b.store(ctx, c, key, generation, body)
		return err
	})
	return obj, err
}

// store stores body in place of a generation, or, if that is 0, of nothing.
func (b *Bucket) store(ctx context.Context, c *call, key string, generation int64, body []byte) (backends.Object, error) {
	sum := checksum(body)
	made, err := b.insert(key, generation, sum, body).Context(ctx).Do()
	if err != nil {
		b.cancelSession(c)
		return backends.Object{}, unstored(ctx, c, generation, err)
	}
	if made.Crc32c != sum || made.Size != uint64(len(body)) {
		return backends.Object{}, errors.New("the service has stored other bytes than were sent")
	}
	modified, err := time.Parse(time.RFC3339, made.TimeCreated)
	if err != nil || made.Generation <= 0 {
		return backends.Object{}, errors.New("the service does not describe the object it has stored")
	}
	return backends.Object{Key: key, Size: int64(len(body)), Modified: modified, Version: version(made.Generation)}, nil
}

func (b *Bucket) insert(key string, generation int64, sum string, body []byte) *raw.ObjectsInsertCall {
	piece := 0 // all in one request
	if len(body) > b.largestSingle {
		piece = b.uploadPiece
	}
	object := &raw.Object{
		Name:         key,
		ContentType:  contentType,
		Crc32c:       sum,
		StorageClass: b.cfg.StorageClass,
	}
	pause := backoff()
	return b.objects.Insert(b.cfg.Bucket, object).
		IfGenerationMatch(generation).
		// The SDK can send a bytes.Reader again without a copy.
		Media(bytes.NewReader(body), googleapi.ChunkSize(piece), googleapi.ContentType(contentType),
			googleapi.ChunkRetryDeadline(pieceRetryTime)).
		Fields("crc32c", "generation", "size", "timeCreated").
		WithRetry(&pause, upTo(b.cfg.MaxRetries))
}

// upTo returns a function for one call that allows n retries.
func upTo(n int) func(error) bool {
	return func(err error) bool {
		if n == 0 || !storage.ShouldRetry(err) {
			return false
		}
		n--
		return true
	}
}

// unstored translates the error of an upload in place of a generation.
func unstored(ctx context.Context, c *call, generation int64, err error) error {
	switch a := c.last(); {
	case a == nil:
	case generation != 0 && (a.status == http.StatusPreconditionFailed || a.noObject()):
		return fmt.Errorf("%w: %w", backends.ErrChanged, a)
	case generation == 0 && (a.status == http.StatusPreconditionFailed || a.status == http.StatusConflict):
		return fmt.Errorf("%w: %w", fs.ErrExist, a)
	case a.status == http.StatusNotFound && a.noBucket():
		return fmt.Errorf("%w (%w)", ErrNoBucket, a)
	case a.refused() && !c.first():
		return a
	}
	return c.outcome(ctx, err)
}

// cancelSession drops the upload session, if there is one.
func (b *Bucket) cancelSession(c *call) {
	session := c.sessionURL()
	if session == "" || c.status() == http.StatusPreconditionFailed {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cancelTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, session, nil)
	if err != nil {
		return
	}
	// The service drops it in time by itself.
	if resp, err := b.client.Do(req); err == nil {
		resp.Body.Close()
	}
}

// checksum returns the CRC-32C of body as the service writes it: base64 of its
// bytes in big-endian order.
func checksum(body []byte) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli()))
	return base64.StdEncoding.EncodeToString(sum)
}
