package s3

import (
	"context"
	"crypto/rand"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/inspect"
)

// clockLimit is the difference of clocks from which on S3 refuses requests with
// RequestTimeTooSkewed.
const clockLimit = 15 * time.Minute

// etagOfNothing is the ETag of an empty object, which no object of Inspect is.
const etagOfNothing = "d41d8cd98f00b204e9800998ecf8427e"

// Inspect finds out, besides whether the bucket can be used, whether the store
// honours If-None-Match, and If-Match of a DELETE, and verifies CRC-32C, and has later calls do without
// what it does not. With an empty scratch it stores nothing, and does not find
// that out.
func (b *Bucket) Inspect(ctx context.Context, scratch string) []backends.Finding {
	address, err := b.address(ctx)
	if err != nil {
		return []backends.Finding{{Item: "address", Err: err}}
	}
	e := &examination{Bucket: b, address: address}
	steps := append(inspect.Way{
		URL:        address,
		Transport:  b.transport,
		ClockLimit: clockLimit,
		Trust:      "if it is a private authority, name its certificate in ca_certificates",
	}.Steps(),
		inspect.Step{Item: "credentials", Examine: e.credentials},
		inspect.Step{Item: "bucket", Examine: e.bucket})
	if scratch == "" {
		return inspect.Run(ctx, append(steps, inspect.Step{Item: "public access", Examine: e.public})...)
	}
	e.scratch = inspect.NewScratch(b, scratch+rand.Text())
	return e.scratch.Run(ctx, append(steps, e.objectSteps()...)...)
}

// examination is one Inspect of a bucket.
type examination struct {
	*Bucket
	address *url.URL         // of the bucket
	scratch *inspect.Scratch // nil if nothing may be stored
	example string           // key of an object that is there; empty if none is known
	listed  error            // of the first listing
}

func (e *examination) objectSteps() []inspect.Step {
	e.example = e.scratch.Key()
	return []inspect.Step{
		{Item: "put", Examine: e.put},
		{Item: "checksum", Examine: e.checksum},
		{Item: "conditional create", Examine: e.conditional},
		inspect.Needs(e.scratch.Get(), "s3:GetObject (and kms:Decrypt with a key of your own)"),
		e.scratch.List(),
		{Item: "public access", Examine: e.public},
		{Item: "upload in parts", Examine: e.inParts},
		inspect.Needs(e.scratch.ConditionalDelete(etagOfNothing, &e.deletes, unsupported), "s3:DeleteObject"),
		inspect.Needs(e.scratch.Delete(), "s3:DeleteObject"),
		e.scratch.Missing("s3:ListBucket"),
	}
}

// address returns the URL of the bucket, which depends on region, endpoint and
// path style. That of a signed request without its signature is what requests
// have.
func (b *Bucket) address(ctx context.Context) (*url.URL, error) {
	signed, err := b.presigner().PresignHeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.cfg.Bucket})
	if err != nil {
		return nil, foreign(err)
	}
	return unsigned(signed.URL)
}

// objectAddress returns the URL of the object under key.
func (b *Bucket) objectAddress(ctx context.Context, key string) (*url.URL, error) {
	signed, err := b.presigner().PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.cfg.Bucket, Key: &key})
	if err != nil {
		return nil, foreign(err)
	}
	return unsigned(signed.URL)
}

// presigner signs with credentials that are made up.
func (b *Bucket) presigner() *s3.PresignClient {
	return s3.NewPresignClient(b.client, s3.WithPresignClientFromClientOptions(func(o *s3.Options) {
		o.APIOptions = nil // about retries, of which there are none
		o.Credentials = aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("none", "none", ""))
	}))
}

func unsigned(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	u.RawQuery = ""
	return u, nil
}

func (e *examination) public(ctx context.Context) backends.Finding {
	listing := *e.address
	listing.RawQuery = "list-type=2"
	p := inspect.Public{
		Transport: e.transport,
		Listing:   listing.String(),
		Remedy:    "turn Block Public Access on, or take away what the bucket's policy and ACL allow to everybody",
	}
	if e.example != "" {
		object, err := e.objectAddress(ctx, e.example)
		if err != nil {
			return inspect.Wrong(err)
		}
		p.Object = object.String()
	}
	return p.Step().Examine(ctx)
}
