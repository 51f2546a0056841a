package s3

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
)

const (
	partThreshold = 16 << 20
	partSize      = 8 << 20
	maxBackoff    = 5 * time.Second
	defaultRegion = "us-east-1" // what stores take that know no regions
)

// Open returns the bucket that cfg names. It sends nothing. The observers are
// told of every request.
func Open(ctx context.Context, cfg Config, observe ...backends.Observer) (*Bucket, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	settings, err := load(ctx, cfg)
	if err != nil {
		return nil, err
	}
	pool := httpconn.NewPool(httpconn.For(cfg.Limits))
	httpClient, transport, err := newHTTPClient(cfg, pool, observe)
	if err != nil {
		return nil, err
	}
	retryer := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 1 + cfg.MaxRetries
		o.MaxBackoff = maxBackoff
	})
	client := s3.NewFromConfig(settings, func(o *s3.Options) {
		o.HTTPClient = httpClient
		o.Retryer = retryer
		o.RetryMaxAttempts = 0 // the retryer's own
		o.UsePathStyle = cfg.PathStyle
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
		// The package computes and compares checksums itself.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.APIOptions = append(o.APIOptions, countAttempts)
		o.Logger = logging.Nop{} // what matters of it is in the errors
	})
	return &Bucket{
		client:        client,
		retryer:       retryer,
		cfg:           cfg,
		region:        settings.Region,
		tagging:       query(cfg.Tags),
		transport:     transport,
		pool:          pool,
		partThreshold: partThreshold,
		partSize:      partSize,
	}, nil
}

// load gathers what the configuration leaves to the environment.
func load(ctx context.Context, cfg Config) (aws.Config, error) {
	client := newCredentialClient(cfg)
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		// A container's endpoint has a client of its own, without any timeout.
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = client }),
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.AccessKey != "" {
		secret, err := cfg.secretKey()
		if err != nil {
			return aws.Config{}, err
		}
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(cfg.AccessKey, secret, "")))
	}
	settings, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("s3: settings of the AWS SDK (environment, ~/.aws): %w", err)
	}
	if settings.Region == "" && cfg.Endpoint != "" {
		settings.Region = defaultRegion
	}
	if settings.Region == "" {
		return aws.Config{}, errors.New("s3: region is missing: give the region of the bucket, as in eu-central-1")
	}
	return settings, nil
}

func query(tags map[string]string) string {
	values := make(url.Values, len(tags))
	for name, value := range tags {
		values.Set(name, value)
	}
	return values.Encode()
}
