package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
	"orthanc-bucketfs/backends/internal/retry"
)

const (
	applicationID = "orthanc-bucketfs" // in the user agent
	createTimeout = time.Minute        // of a container
)

// sizes says how bodies are cut into requests, and how long to wait between
// two attempts at one.
type sizes struct {
	whole      int           // bytes that still go in one request
	block      int           // bytes a block, when they do not
	retryDelay time.Duration // before the second attempt
}

func defaultSizes() sizes {
	return sizes{whole: 16 << 20, block: 8 << 20, retryDelay: 500 * time.Millisecond}
}

// Open returns the bucket in a container. It makes no request, except to make
// the container if cfg says so; ctx is for that. The observers are told of
// every request.
func Open(ctx context.Context, cfg Config, observe ...backends.Observer) (*Bucket, error) {
	return open(ctx, cfg, defaultSizes(), observe...)
}

func open(ctx context.Context, cfg Config, sz sizes, observe ...backends.Observer) (*Bucket, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	pool, budget := httpconn.NewPool(httpconn.For(cfg.Limits)), new(retry.Budget)
	transport := newTransport(pool)
	client, err := newClient(cfg, sz, budget, httpconn.Observe(httpconn.Watched(httpconn.Guarded(transport)), observe...))
	if err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	b := &Bucket{
		client:    client,
		transport: transport,
		pool:      pool,
		container: cfg.Container,
		tier:      cfg.AccessTier,
		retries:   cfg.MaxRetries,
		budget:    budget,
		sizes:     sz,
		name:      "azure container " + cfg.Container + " at " + endpoint(client.URL()),
	}
	if cfg.CreateContainer {
		if err := b.createContainer(ctx); err != nil {
			b.Close()
			return nil, err
		}
	}
	return b, nil
}

func newClient(cfg Config, sz sizes, budget *retry.Budget, rt http.RoundTripper) (*container.Client, error) {
	common := azcore.ClientOptions{
		Transport: sender{rt},
		Retry:     retryOptions(cfg.MaxRetries, sz.retryDelay),
		Telemetry: policy.TelemetryOptions{ApplicationID: applicationID},
	}
	opts := &container.ClientOptions{ClientOptions: common}
	opts.Transport = storageSender{sender{rt}}
	withBudget(&opts.ClientOptions, cfg.MaxRetries, budget)
	if cfg.AccountURL != "" {
		return newTokenClient(cfg, common, opts)
	}
	secret, err := cfg.connectionString()
	if err != nil {
		return nil, err
	}
	client, err := container.NewClientFromConnectionString(secret.Reveal(), cfg.Container, opts)
	if err != nil {
		return nil, fmt.Errorf("the connection string cannot be used: %w", err)
	}
	if u, err := url.Parse(client.URL()); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("the connection string cannot be used: its address is not one")
	}
	return client, nil
}

// newTokenClient returns a client with the credentials that Azure's libraries
// find: in the environment, the machine's identity, a command line logged in.
func newTokenClient(cfg Config, identity azcore.ClientOptions, opts *container.ClientOptions) (*container.Client, error) {
	cred, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: identity})
	if err != nil {
		return nil, fmt.Errorf("no Azure credentials: %w", err)
	}
	u, err := url.JoinPath(cfg.AccountURL, cfg.Container)
	if err != nil {
		return nil, err
	}
	return container.NewClient(u, cred, opts)
}

// endpoint returns the part of a container's URL that may be shown.
func endpoint(containerURL string) string {
	u, err := url.Parse(containerURL)
	if err != nil {
		return "an address that cannot be read"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(path.Dir(u.Path), "/")}).String()
}

func (b *Bucket) createContainer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	_, err := b.client.Create(ctx, nil)
	if err == nil || bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		return nil
	}
	return failure("create container", b.container, b.translate(ctx, "create container", err))
}
