package azure

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/inspect"
)

// clockLimit is the difference of clocks from which on the service refuses
// signed requests; see "Authorize with Shared Key" in its documentation.
const clockLimit = 15 * time.Minute

// noETag is like an ETag of the service, and none of them.
const noETag = "0x8D0000000000000"

// Inspect examines the way to the service, the credentials, and what the
// container does with an object and shows to everybody. With an empty scratch it
// stores nothing.
func (b *Bucket) Inspect(ctx context.Context, scratch string) []backends.Finding {
	address, err := url.Parse(b.client.URL())
	if err != nil {
		return []backends.Finding{{Item: "address", Err: errors.New("the container's address cannot be read: correct the connection string")}}
	}
	address.RawQuery = "" // a shared access signature
	e := &examination{Bucket: b, address: address, scratch: scratch}
	steps := append(inspect.Way{URL: address, Transport: b.transport, ClockLimit: clockLimit}.Steps(),
		inspect.Step{Item: "credentials", Examine: e.credentials},
		inspect.Step{Item: "container", Examine: e.container})
	if scratch == "" {
		return inspect.Run(ctx, append(steps, e.public())...)
	}
	s := inspect.NewScratch(b, scratch)
	return s.Run(ctx, append(steps,
		s.Put(), s.Checksum("MD5", b.createDamaged, isMismatch), s.ConditionalCreate(), s.Get(), s.List(), e.public(),
		s.ConditionalDelete(noETag, &b.deletes, unsupported), s.Delete(), s.Missing("Storage Blob Data Contributor"))...)
}

// examination is one Inspect of a bucket.
type examination struct {
	*Bucket
	address *url.URL // of the container, without a signature
	scratch string
	listed  error
}

// credentials lists. What is not about credentials is left to the next item.
func (e *examination) credentials(ctx context.Context) backends.Finding {
	_, e.listed = e.List(ctx, backends.ListOptions{Prefix: e.scratch, Limit: 1})
	a, answered := errors.AsType[*answer](e.listed)
	switch {
	case e.listed == nil, answered && !errors.Is(e.listed, fs.ErrPermission):
		return inspect.Fine("accepted")
	case answered && e.scratch == "" && a.code != string(bloberror.AuthenticationFailed):
		e.listed = nil // what is below root_path may be allowed
		return inspect.Doubtful(fmt.Sprintf("the container cannot be listed as a whole: %v", a))
	}
	return inspect.Wrong(e.listed)
}

func (e *examination) container(context.Context) backends.Finding {
	if e.listed != nil {
		return inspect.Wrong(e.listed)
	}
	return inspect.Fine(e.Bucket.container)
}

func (e *examination) public() inspect.Step {
	listing := *e.address
	listing.RawQuery = "restype=container&comp=list"
	p := inspect.Public{
		Transport: e.transport,
		Listing:   listing.String(),
		Remedy:    "set the container's access level to private, and turn anonymous access off for the storage account",
	}
	if e.scratch != "" {
		p.Object = e.address.JoinPath(e.scratch).String()
	}
	return p.Step()
}

// createDamaged stores an object with the MD5 of another.
func (b *Bucket) createDamaged(ctx context.Context, key string) error {
	lent, reader, takeBack := lend(ctx, []byte("damaged"))
	defer takeBack()
	other := md5.Sum([]byte("whole"))
	_, err := b.client.NewBlockBlobClient(key).Upload(lent, reader, &blockblob.UploadOptions{
		TransactionalValidation: blob.TransferValidationTypeMD5(other[:]),
		AccessConditions:        ifMissing(),
	})
	if err != nil {
		return failure("create", key, b.translate(ctx, "create", err))
	}
	return nil
}

// unsupported tells whether the service may have refused a request for a header
// that it does not know.
func unsupported(err error) bool {
	a, ok := errors.AsType[*answer](err)
	return ok && (a.status == http.StatusBadRequest || a.status == http.StatusNotImplemented)
}

func isMismatch(err error) bool {
	a, ok := errors.AsType[*answer](err)
	return ok && a.code == string(bloberror.MD5Mismatch)
}
