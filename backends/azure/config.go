package azure

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/secretfile"
)

// Config says where a container is and how to reach it. Exactly one of
// ConnectionString, ConnectionStringFile and AccountURL is set. Start from
// DefaultConfig.
type Config struct {
	ConnectionString     backends.Secret `toml:"connection_string"`
	ConnectionStringFile string          `toml:"connection_string_file"` // holds it, and nothing else but white space around it; nobody else may read it
	AccountURL           string          `toml:"account_url"`            // "https://ACCOUNT.blob.core.windows.net", with Azure's default credentials
	Container            string          `toml:"container"`
	CreateContainer      bool            `toml:"create_container"` // make it when it is missing

	AccessTier string `toml:"access_tier"` // "Hot", "Cool", "Cold"; empty for the account's default

	// ReadFile is how the files are read that are named above, by somebody who may;
	// nil for as this process may.
	ReadFile func(path string) ([]byte, error)

	backends.Limits
}

// DefaultConfig returns a configuration that lacks only the account and the
// container.
func DefaultConfig() Config {
	return Config{Limits: backends.DefaultLimits()}
}

func (c Config) check() error {
	if err := c.checkAccount(); err != nil {
		return err
	}
	if !validContainer(c.Container) {
		return errors.New("container cannot be the name of a container: give 3 to 63 lower-case letters, digits and single hyphens")
	}
	if err := c.checkTier(); err != nil {
		return err
	}
	return backends.CheckLimits(c.Limits)
}

func (c Config) checkAccount() error {
	given := 0
	for _, is := range []bool{!c.ConnectionString.IsZero(), c.ConnectionStringFile != "", c.AccountURL != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return errors.New("the account is not clear: give exactly one of connection_string, connection_string_file and account_url")
	}
	if c.AccountURL == "" {
		return nil
	}
	u, err := url.Parse(c.AccountURL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return errors.New(`account_url is not the address of an account: give "https://ACCOUNT.blob.core.windows.net"`)
	}
	if u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return errors.New("account_url holds more than an address: give a shared access signature in connection_string, or in connection_string_file")
	}
	return nil
}

// checkTier refuses tiers that a new object cannot be read from at once.
func (c Config) checkTier() error {
	switch blob.AccessTier(c.AccessTier) {
	case "", blob.AccessTierHot, blob.AccessTierCool, blob.AccessTierCold, blob.AccessTierPremium:
		return nil
	case blob.AccessTierArchive:
		return errors.New(`access_tier "Archive" is of no use: objects there cannot be read; give "Hot", "Cool" or "Cold"`)
	}
	return errors.New(`access_tier is unknown: give "Hot", "Cool" or "Cold", or leave it out`)
}

// validContainer follows "Naming and Referencing Containers, Blobs, and
// Metadata" in the documentation of the REST API.
func validContainer(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "--") {
		return false
	}
	if strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") {
		return false
	}
	for _, c := range []byte(name) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// connectionString returns the connection string from wherever it is, without
// the white space around it.
func (c Config) connectionString() (backends.Secret, error) {
	if c.ConnectionStringFile == "" {
		return backends.NewSecret(strings.TrimSpace(c.ConnectionString.Reveal())), nil
	}
	text, err := secretfile.Read(c.ConnectionStringFile, c.ReadFile)
	if err != nil {
		return backends.Secret{}, fmt.Errorf("connection_string_file: %w", err)
	}
	s := backends.NewSecret(strings.TrimSpace(string(text)))
	if s.IsZero() {
		return s, errors.New("connection_string_file is empty: put a connection string there")
	}
	return s, nil
}
