package gcs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/inspect"
)

// Inspect examines the way to the service, the credentials, and what the bucket
// does with an object and shows to everybody. With an empty scratch it stores
// nothing.
func (b *Bucket) Inspect(ctx context.Context, scratch string) []backends.Finding {
	address, err := url.Parse(b.endpoint)
	if err != nil {
		return []backends.Finding{{Item: "address", Err: err}}
	}
	e := &examination{Bucket: b, address: address, scratch: scratch}
	steps := append(inspect.Way{URL: address, Transport: b.base}.Steps(),
		inspect.Step{Item: "credentials", Examine: e.credentials},
		inspect.Step{Item: itemBucket, Examine: e.bucket})
	if scratch == "" {
		return inspect.Run(ctx, append(steps, e.public())...)
	}
	s := inspect.NewScratch(b, scratch)
	return s.Run(ctx, append(steps,
		inspect.Needs(s.Put(), "storage.objects.create"),
		s.Checksum("CRC-32C", b.createDamaged, isMismatch),
		s.ConditionalCreate(),
		inspect.Needs(s.Get(), "storage.objects.get"),
		s.List(),
		e.public(),
		inspect.Needs(s.ConditionalDelete(noGeneration, &b.deletes, unsupported), "storage.objects.delete"),
		inspect.Needs(s.Delete(), "storage.objects.delete"),
		s.Missing(permissionList))...)
}

const (
	itemBucket     = "bucket"
	noGeneration   = "1" // since generations are times, in microseconds
	permissionList = "storage.objects.list"
)

// examination is one Inspect of a bucket.
type examination struct {
	*Bucket
	address *url.URL
	scratch string
	listed  error
}

// credentials lists. What is not about credentials is left to the next item.
func (e *examination) credentials(ctx context.Context) backends.Finding {
	_, e.listed = e.List(ctx, backends.ListOptions{Prefix: e.scratch, Limit: 1})
	a, answered := errors.AsType[*answer](e.listed)
	switch {
	case answered && a.status == http.StatusUnauthorized, e.listed != nil && !answered:
		return inspect.Wrong(fmt.Errorf("%w: check service_account_file, or the application default credentials, and this machine's clock", e.listed))
	case e.address.Scheme == "http":
		return inspect.Fine("none, for an http endpoint")
	}
	return inspect.Fine("accepted")
}

func (e *examination) bucket(context.Context) backends.Finding {
	switch {
	case errors.Is(e.listed, fs.ErrPermission) && e.scratch == "":
		// What is below root_path may be allowed.
		return inspect.Doubtful(fmt.Sprintf("the bucket cannot be listed as a whole: %v", e.listed))
	case e.listed != nil:
		return inspect.Wrong(inspect.Lacking(e.listed, permissionList))
	}
	return inspect.Fine(e.cfg.Bucket)
}

func (e *examination) public() inspect.Step {
	p := inspect.Public{
		Transport: e.base,
		Listing:   e.address.JoinPath("storage/v1/b", e.cfg.Bucket, "o").String(),
		Remedy:    "turn public access prevention on, or take away what allUsers and allAuthenticatedUsers may do",
	}
	if e.scratch != "" {
		p.Object = e.address.JoinPath(e.cfg.Bucket, e.scratch).String()
	}
	return p.Step()
}

// createDamaged stores an object with the checksum of another.
func (b *Bucket) createDamaged(ctx context.Context, key string) error {
	return b.do(ctx, "create", key, func(ctx context.Context, c *call) error {
		_, err := b.insert(key, 0, checksum([]byte("whole")), []byte("damaged")).Context(ctx).Do()
		if err != nil {
			return unstored(ctx, c, 0, err)
		}
		return nil
	})
}

// unsupported tells whether the service may have refused a request for a condition
// that it does not know.
func unsupported(err error) bool {
	a, ok := errors.AsType[*answer](err)
	return ok && (a.status == http.StatusBadRequest || a.status == http.StatusNotImplemented)
}

func isMismatch(err error) bool {
	a, ok := errors.AsType[*answer](err)
	return ok && a.status == http.StatusBadRequest
}
