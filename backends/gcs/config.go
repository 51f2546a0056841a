package gcs

import (
	"errors"
	"fmt"
	"net/url"

	"orthanc-bucketfs/backends"
)

// Config says which bucket to use, and how.
type Config struct {
	Bucket string `toml:"bucket"`

	// ServiceAccountFile is the JSON key of a service account, in a file that
	// nobody else may read. If it is empty the credentials come from where Google's libraries look for them
	// (GOOGLE_APPLICATION_CREDENTIALS, gcloud, the machine's own account).
	ServiceAccountFile string `toml:"service_account_file"`

	// Endpoint is the URL of the service, empty for Google's public one. With
	// an http endpoint, as emulators have, there is no authentication.
	Endpoint string `toml:"endpoint"`

	StorageClass string `toml:"storage_class"` // of new objects; empty for the bucket's own

	// ReadFile is how the files are read that are named above, by somebody who may;
	// nil for as this process may.
	ReadFile func(path string) ([]byte, error)

	backends.Limits
}

// DefaultConfig returns a configuration that lacks the bucket alone.
func DefaultConfig() Config {
	return Config{Limits: backends.DefaultLimits()}
}

// check refuses what no bucket can be opened with.
func (c Config) check() error {
	if c.Bucket == "" {
		return errors.New("gcs: bucket is missing: give the name of the bucket")
	}
	if err := backends.CheckLimits(c.Limits); err != nil {
		return fmt.Errorf("gcs: %w", err)
	}
	return nil
}

const publicEndpoint = "https://storage.googleapis.com"

// endpoint does not repeat what is wrong: it may hold a password.
func (c Config) endpoint() (*url.URL, error) {
	if c.Endpoint == "" {
		return url.Parse(publicEndpoint)
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("gcs: endpoint is no URL: write it as in https://storage.example.com")
	}
	if u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("gcs: endpoint has more than scheme, host and port: remove the rest")
	}
	if u.Scheme == "http" && c.ServiceAccountFile != "" {
		return nil, errors.New("gcs: service_account_file needs an https endpoint: over http anybody could take the credentials; change one of the two")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
