package gcs

import (
	"errors"
	"fmt"
	"net/url"
)

// Config says which bucket to use, and how.
type Config struct {
	Bucket string `toml:"bucket"`

	// ServiceAccountFile is the JSON key of a service account. If it is empty
	// the credentials come from where Google's libraries look for them
	// (GOOGLE_APPLICATION_CREDENTIALS, gcloud, the machine's own account).
	ServiceAccountFile string `toml:"service_account_file"`

	// Endpoint is the URL of the service, empty for Google's public one. With
	// an http endpoint, as emulators have, there is no authentication.
	Endpoint string `toml:"endpoint"`

	StorageClass string `toml:"storage_class"` // of new objects; empty for the bucket's own

	ConnectionTimeout int `toml:"connection_timeout"` // seconds to connect, and again for TLS
	RequestTimeout    int `toml:"request_timeout"`    // seconds without a byte in either direction
	MaxConnections    int `toml:"max_connections"`    // at one time
	MaxRetries        int `toml:"max_retries"`        // of one call; 0 for none
}

// DefaultConfig returns a configuration that lacks the bucket alone.
func DefaultConfig() Config {
	return Config{
		ConnectionTimeout: 10,
		RequestTimeout:    30,
		MaxConnections:    100,
		MaxRetries:        3,
	}
}

// check refuses what no bucket can be opened with.
func (c Config) check() error {
	if c.Bucket == "" {
		return errors.New("gcs: bucket is missing: give the name of the bucket")
	}
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
			return fmt.Errorf("gcs: %s is %d: it must be at least %d", limit.name, limit.got, limit.min)
		}
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
