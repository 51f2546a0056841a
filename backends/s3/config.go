package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"syscall"

	"orthanc-bucketfs/backends"
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

	ConnectionTimeout int `toml:"connection_timeout"` // seconds to connect, TLS included
	RequestTimeout    int `toml:"request_timeout"`    // seconds without a byte in either direction
	MaxConnections    int `toml:"max_connections"`    // at one time
	MaxRetries        int `toml:"max_retries"`        // of one request; 0 for none
}

// DefaultConfig returns a configuration that lacks the bucket alone.
func DefaultConfig() Config {
	return Config{
		Tags:              map[string]string{},
		ConnectionTimeout: 10,
		RequestTimeout:    30,
		MaxConnections:    100,
		MaxRetries:        3,
	}
}

// check refuses what no bucket can be opened with.
func (c Config) check() error {
	switch {
	case c.Bucket == "":
		return errors.New("s3: bucket is missing: give the name of the bucket")
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
		return fmt.Errorf(`s3: server_side_encryption %q is unknown: use "", "AES256" or "aws:kms"`, c.ServerSideEncryption)
	}
	if err := c.checkLimits(); err != nil {
		return err
	}
	return c.checkEndpoint()
}

func (c Config) checkLimits() error {
	for _, limit := range []struct {
		name     string
		got, min int
	}{
		{"connection_timeout", c.ConnectionTimeout, 1},
		{"request_timeout", c.RequestTimeout, 1},
		{"max_connections", c.MaxConnections, 1},
		{"max_retries", c.MaxRetries, 0},
	} {
		if limit.got < limit.min {
			return fmt.Errorf("s3: %s is %d: it must be at least %d", limit.name, limit.got, limit.min)
		}
	}
	return nil
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
	text, err := readPrivate(c.SecretKeyFile)
	if err != nil {
		return "", fmt.Errorf("s3: secret_key_file %s: %w", c.SecretKeyFile, err)
	}
	return text, nil
}

// readPrivate returns the one word in a file that nobody else may read.
func readPrivate(path string) (string, error) {
	const maxSize = 4096
	// O_NONBLOCK: opening a named pipe would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("%w: check the path and the owner of the file", errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is no regular file: give the path of one")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("mode %04o gives permissions to group or others: take them away with chmod 600", mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return "", err
	}
	words := bytes.Fields(text)
	if len(text) > maxSize || len(words) != 1 {
		return "", errors.New("it must hold the secret key and nothing else")
	}
	return string(words[0]), nil
}
