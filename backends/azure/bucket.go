package azure

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/conditional"
	"orthanc-bucketfs/backends/internal/httpconn"
	"orthanc-bucketfs/backends/internal/retry"
)

const (
	keyMax      = 1024 // characters in a blob's name
	elementsMax = 254  // parts between its slashes
)

// Bucket is a container that holds objects. It implements backends.Bucket.
type Bucket struct {
	client    *container.Client
	transport *http.Transport
	pool      *httpconn.Pool // its connections
	container string
	tier      string // access tier of new objects, empty for the default
	retries   int    // times that a broken body is gone on with
	budget    *retry.Budget
	sizes     sizes
	deletes   conditional.Deletes
	name      string
}

// Close drops the connections that are not in use. No call may follow it.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

func (b *Bucket) String() string { return b.name }

func (b *Bucket) Stat(ctx context.Context, key string) (backends.Object, error) {
	if err := admit(ctx, "stat", key); err != nil {
		return backends.Object{}, err
	}
	ctx, over := b.pool.Call(ctx)
	defer over()
	obj, err := b.head(ctx, "stat", key, "")
	if err != nil {
		return backends.Object{}, failure("stat", key, err)
	}
	return obj, nil
}

// head describes the object under key, if version is empty or its version.
func (b *Bucket) head(ctx context.Context, op, key, version string) (backends.Object, error) {
	resp, err := b.client.NewBlobClient(key).GetProperties(ctx, &blob.GetPropertiesOptions{AccessConditions: ifMatch(version)})
	if err != nil {
		return backends.Object{}, b.translate(ctx, op, err)
	}
	if resp.ContentLength == nil {
		return backends.Object{}, errIncomplete
	}
	return describe(key, *resp.ContentLength, resp.ETag, resp.LastModified)
}

func (b *Bucket) Delete(ctx context.Context, key, version string) error {
	if err := admit(ctx, "delete", key); err != nil {
		return err
	}
	version, err := b.deletes.Condition(ctx, b, key, version)
	if err != nil {
		return err
	}
	ctx, over := b.pool.Call(ctx)
	defer over()
	if err := b.remove(ctx, key, version); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failure("delete", key, err)
	}
	return nil
}

// Conditions returns what Inspect has found out.
func (b *Bucket) Conditions() backends.Conditions {
	return backends.Conditions{Create: true, Delete: b.deletes.Honoured()}
}

// remove sends one request. The SDK must not send another: the one before, if
// it was not answered, may still arrive.
func (b *Bucket) remove(ctx context.Context, key, version string) error {
	const none = -1 // for the SDK, zero is three
	once := policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: none})
	_, err := b.client.NewBlobClient(key).Delete(once, &blob.DeleteOptions{AccessConditions: ifMatch(version)})
	if err != nil {
		return b.translate(ctx, "delete", err)
	}
	return nil
}

// describe returns an error rather than an object without a version.
func describe(key string, size int64, etag *azcore.ETag, modified *time.Time) (backends.Object, error) {
	if etag == nil || modified == nil || size < 0 {
		return backends.Object{}, errIncomplete
	}
	// Headers have the ETag in quotes, listings do not.
	version := strings.Trim(string(*etag), `"`)
	if version == "" {
		return backends.Object{}, errIncomplete
	}
	return backends.Object{Key: key, Size: size, Modified: *modified, Version: version}, nil
}

// ifMatch returns the condition that the object has this version, nil if there
// is none.
func ifMatch(version string) *blob.AccessConditions {
	if version == "" {
		return nil
	}
	etag := azcore.ETag(`"` + version + `"`)
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &etag}}
}

// admit refuses a key that the bucket cannot hold and a call whose context has
// ended.
func admit(ctx context.Context, op, key string) error {
	if err := backends.CheckKey(op, key); err != nil {
		return err
	}
	if !holds(key) {
		return &backends.Error{Op: op, Key: key, Err: backends.ErrInvalidKey}
	}
	if err := ctx.Err(); err != nil {
		return &backends.Error{Op: op, Key: key, Err: err}
	}
	return nil
}

// holds tells whether the service keeps a key, valid elsewhere, as it is.
func holds(key string) bool {
	if utf8.RuneCountInString(key) > keyMax || strings.Count(key, "/") >= elementsMax {
		return false
	}
	return !strings.HasSuffix(key, ".") && !strings.ContainsFunc(key, func(r rune) bool {
		return r == '\\' || r == '\uFFFE' || r == '\uFFFF' || unicode.IsControl(r)
	})
}
