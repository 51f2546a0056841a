package azure

import (
	"context"
	"crypto/md5"
	"errors"
	"io/fs"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"orthanc-bucketfs/backends"
)

func (b *Bucket) Create(ctx context.Context, key string, body []byte) (backends.Object, error) {
	if err := admit(ctx, "create", key); err != nil {
		return backends.Object{}, err
	}
	return b.store(ctx, upload{"create", key, ifMissing()}, body)
}

func (b *Bucket) Replace(ctx context.Context, key, version string, body []byte) (backends.Object, error) {
	if err := admit(ctx, "replace", key); err != nil {
		return backends.Object{}, err
	}
	if err := backends.CheckVersion("replace", key, version); err != nil {
		return backends.Object{}, err
	}
	return b.store(ctx, upload{"replace", key, ifVersion(version)}, body)
}

// upload says for which call a body is stored where, and on which condition.
type upload struct {
	op        string
	key       string
	condition *blob.AccessConditions
}

func (b *Bucket) store(ctx context.Context, u upload, body []byte) (backends.Object, error) {
	ctx, over := b.pool.Call(ctx)
	defer over()
	store := b.put
	if len(body) > b.sizes.whole {
		store = b.putBlocks
	}
	obj, err := store(ctx, u, body)
	if err != nil {
		return backends.Object{}, failure(u.op, u.key, err)
	}
	return obj, nil
}

// put stores body with one request.
func (b *Bucket) put(ctx context.Context, u upload, body []byte) (backends.Object, error) {
	lent, reader, takeBack := lend(ctx, body)
	defer takeBack()
	lent, attempts := countAttempts(lent)
	resp, err := b.client.NewBlockBlobClient(u.key).Upload(lent, reader, &blockblob.UploadOptions{
		Tier:                    b.accessTier(),
		TransactionalValidation: sum(body),
		AccessConditions:        u.condition,
	})
	if err != nil {
		return backends.Object{}, unsure(*attempts, b.translate(ctx, u.op, err))
	}
	return describe(u.key, int64(len(body)), resp.ETag, resp.LastModified)
}

// unsure takes from a refusal that the object was not stored, unless it was the
// answer to the only attempt. One before it may have been taken.
func unsure(attempts int, err error) error {
	var a *answer
	if attempts < 2 || !errors.As(err, &a) || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	again := *a
	again.meaning = nil
	return &again
}

func sum(body []byte) blob.TransferValidationTypeMD5 {
	sum := md5.Sum(body)
	return sum[:]
}

// ifMissing is the condition that there is no object.
func ifMissing() *blob.AccessConditions {
	anything := azcore.ETagAny
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &anything}}
}

// ifVersion is the condition that the object is a version.
func ifVersion(version string) *blob.AccessConditions {
	etag := azcore.ETag(`"` + version + `"`)
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &etag}}
}

func (b *Bucket) accessTier() *blob.AccessTier {
	if b.tier == "" {
		return nil
	}
	tier := blob.AccessTier(b.tier)
	return &tier
}
