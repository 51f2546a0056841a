package s3

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/secretfile"
)

// Config says which bucket to use, and how.
type Config struct {
	Bucket   string `toml:"bucket"`
	Region   string `toml:"region"`   // empty: from the environment; us-east-1 if Endpoint is set
	Endpoint string `toml:"endpoint"` // URL of the store; empty for Amazon S3

	// Either both halves of the credentials, or neither: then they come from
	// where the AWS SDK looks for them (environment, ~/.aws, the role of the
	// machine). The secret key may be in a file of its own.
	AccessKey     string          `toml:"access_key"`
	SecretKey     backends.Secret `toml:"secret_key"`
	SecretKeyFile string          `toml:"secret_key_file"`

	PathStyle      bool   `toml:"path_style"`      // bucket in the path, not in the host name
	CACertificates string `toml:"ca_certificates"` // PEM file; alone trusted for the store, if set

	// For new objects.
	StorageClass         string            `toml:"storage_class"`
	Tags                 map[string]string `toml:"tags"`
	ServerSideEncryption string            `toml:"server_side_encryption"` // "", "AES256" or "aws:kms"
	KMSKeyID             string            `toml:"kms_key_id"`

	// ReadFile is how the files are read that are named above, by somebody who may;
	// nil for as this process may.
	ReadFile func(path string) ([]byte, error)

	backends.Limits
}

// DefaultConfig returns a configuration that lacks the bucket alone.
func DefaultConfig() Config {
	return Config{
		Tags:   map[string]string{},
		Limits: backends.DefaultLimits(),
	}
}

// check refuses what no bucket can be opened with.
func (c Config) check() error {
	bucketName, regionName := regexp.MustCompile(`^[A-Za-z0-9._-]{1,255}$`), regexp.MustCompile(`^[A-Za-z0-9_-]{0,32}$`)
	switch {
	case c.Bucket == "":
		return errors.New("s3: bucket is missing: give the name of the bucket")
	case !bucketName.MatchString(c.Bucket): // not repeated: it may be a secret
		return errors.New("s3: bucket cannot be the name of a bucket: give letters, digits, dots and hyphens alone")
	case !regionName.MatchString(c.Region):
		return errors.New("s3: region cannot be the name of a region: give one as us-east-1")
	case c.AccessKey == "" && (!c.SecretKey.IsZero() || c.SecretKeyFile != ""):
		return errors.New("s3: a secret key is given without access_key: give both or neither")
	case c.AccessKey != "" && c.SecretKey.IsZero() && c.SecretKeyFile == "":
		return errors.New("s3: access_key is given without a secret key: add secret_key_file or secret_key")
	case !c.SecretKey.IsZero() && c.SecretKeyFile != "":
		return errors.New("s3: both secret_key and secret_key_file are given: remove one")
	case c.KMSKeyID != "" && c.ServerSideEncryption != "aws:kms":
		return errors.New(`s3: kms_key_id needs server_side_encryption = "aws:kms"`)
	}
	switch c.ServerSideEncryption {
	case "", "AES256", "aws:kms":
	default:
		return errors.New(`s3: server_side_encryption is unknown: use "", "AES256" or "aws:kms"`)
	}
	if slices.Contains([]string{"GLACIER", "DEEP_ARCHIVE"}, c.StorageClass) {
		return fmt.Errorf("s3: storage_class %s is an archive, from which nothing can be read at once: "+
			"use another, as GLACIER_IR, and let no lifecycle rule of the bucket move objects to an archive", c.StorageClass)
	}
	if err := backends.CheckLimits(c.Limits); err != nil {
		return fmt.Errorf("s3: %w", err)
	}
	return c.checkEndpoint()
}

// checkEndpoint does not repeat the endpoint: it may hold a password.
func (c Config) checkEndpoint() error {
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("s3: endpoint is no URL: write it as in https://s3.example.com")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("s3: endpoint has more than scheme, host, port and path: remove the rest; credentials go to access_key and secret_key_file")
	}
	return nil
}

func (c Config) secretKey() (string, error) {
	if c.SecretKeyFile == "" {
		return c.SecretKey.Reveal(), nil
	}
	text, err := secretfile.Read(c.SecretKeyFile, c.ReadFile)
	if err != nil {
		return "", fmt.Errorf("s3: secret_key_file: %w", err)
	}
	words := strings.Fields(string(text))
	if len(words) != 1 {
		return "", errors.New("s3: secret_key_file: it must hold the secret key and nothing else")
	}
	return words[0], nil
}
