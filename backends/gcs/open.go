package gcs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/httptransport"
	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/option"
	raw "google.golang.org/api/storage/v1"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/conditional"
	"orthanc-bucketfs/backends/internal/httpconn"
	"orthanc-bucketfs/backends/internal/retry"
	"orthanc-bucketfs/backends/internal/secretfile"
)

const (
	largestSingle = 16 << 20 // bytes created with one request
	uploadPiece   = 16 << 20 // bytes in one request of an upload session
	firstBackoff  = 200 * time.Millisecond
	maxBackoff    = 5 * time.Second
)

// Bucket is a bucket of Google Cloud Storage. It implements backends.Bucket.
type Bucket struct {
	cfg      Config
	endpoint string
	client   *http.Client // authenticates
	base     *http.Transport
	pool     *httpconn.Pool // its connections
	sdk      *storage.Client
	objects  *raw.ObjectsService

	largestSingle, uploadPiece int // constants, but for tests

	proven atomic.Bool // a call has succeeded in the bucket
	budget retry.Budget

	deletes conditional.Deletes
}

// Open returns the bucket that cfg names. It sends nothing to the service; to
// find credentials it may ask the machine's metadata server. The observers are
// told of every request.
func Open(ctx context.Context, cfg Config, observe ...backends.Observer) (*Bucket, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	endpoint, err := cfg.endpoint()
	if err != nil {
		return nil, err
	}
	if _, err := http.ProxyFromEnvironment(&http.Request{URL: endpoint}); err != nil {
		// The error would repeat the URL, which may hold a password.
		return nil, errors.New("gcs: HTTPS_PROXY or HTTP_PROXY in the environment is no URL: correct it")
	}
	pool := httpconn.NewPool(httpconn.For(cfg.Limits))
	b := &Bucket{
		pool:          pool,
		cfg:           cfg,
		endpoint:      endpoint.String(),
		base:          httpconn.NewTransport(pool),
		largestSingle: largestSingle,
		uploadPiece:   uploadPiece,
	}
	if b.client, err = newClient(cfg, endpoint, httpconn.Observe(httpconn.Watched(httpconn.Guarded(b.base)), observe...)); err != nil {
		return nil, err
	}
	if err := b.connect(ctx); err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	return b, nil
}

// connect makes the clients of the SDK: one for all calls but Create, whose
// retries would need a copy of the body, and the one below it for that.
func (b *Bucket) connect(ctx context.Context) error {
	options := []option.ClientOption{
		option.WithHTTPClient(b.client),
		option.WithEndpoint(b.endpoint + "/storage/v1/"),
	}
	service, err := raw.NewService(ctx, options...)
	if err != nil {
		return err
	}
	// b.client authenticates; the SDK is not to look for credentials itself.
	b.sdk, err = storage.NewClient(ctx, append(options, option.WithoutAuthentication())...)
	if err != nil {
		return err
	}
	b.objects = service.Objects
	b.sdk.SetRetry(
		storage.WithPolicy(storage.RetryAlways),
		storage.WithBackoff(backoff()),
		storage.WithMaxAttempts(1+b.cfg.MaxRetries),
	)
	return nil
}

func backoff() gax.Backoff {
	return gax.Backoff{Initial: firstBackoff, Max: maxBackoff, Multiplier: 2}
}

// newClient returns a client that authenticates, unless the endpoint is http.
func newClient(cfg Config, endpoint *url.URL, base http.RoundTripper) (*http.Client, error) {
	client := &http.Client{Transport: base, CheckRedirect: noRedirect}
	if endpoint.Scheme == "https" {
		creds, err := findCredentials(cfg, base)
		if err != nil {
			return nil, err
		}
		if err := httptransport.AddAuthorizationMiddleware(client, creds); err != nil {
			return nil, fmt.Errorf("gcs: %w", err)
		}
	}
	client.Transport = follower{client.Transport}
	return client, nil
}

func findCredentials(cfg Config, base http.RoundTripper) (*auth.Credentials, error) {
	options := &credentials.DetectOptions{
		Scopes: []string{storage.ScopeReadWrite},
		Client: &http.Client{Transport: base, Timeout: time.Duration(cfg.RequestTimeout) * time.Second},
	}
	if cfg.ServiceAccountFile == "" {
		creds, err := credentials.DetectDefault(options)
		if err != nil {
			return nil, fmt.Errorf("gcs: there are no credentials; set service_account_file: %w", err)
		}
		return creds, nil
	}
	key, err := secretfile.Read(cfg.ServiceAccountFile, cfg.ReadFile)
	if err != nil {
		return nil, fmt.Errorf("gcs: service_account_file: %w", err)
	}
	creds, err := credentials.NewCredentialsFromJSON(credentials.ServiceAccount, key, options)
	if err != nil { // which may quote the file
		return nil, errors.New("gcs: service_account_file is no key of a service account: give the JSON file that Google has made for one")
	}
	return creds, nil
}

// noRedirect keeps the client from carrying credentials elsewhere.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close ends the connections that are idle. No call may follow it.
func (b *Bucket) Close() error {
	b.base.CloseIdleConnections()
	return nil
}

func (b *Bucket) String() string {
	if b.cfg.Endpoint == "" {
		return "gcs bucket " + b.cfg.Bucket
	}
	return "gcs bucket " + b.cfg.Bucket + " at " + b.endpoint
}
