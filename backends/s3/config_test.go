package s3

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/server"
)

func file(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// withoutSettings hides the machine's own settings for the SDK.
func withoutSettings(t *testing.T) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none,
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}

func TestOpenRefuses(t *testing.T) {
	withoutSettings(t)
	for _, c := range []struct {
		want   string // named in the message
		change func(*Config)
	}{
		{"bucket", func(c *Config) { c.Bucket = "" }},
		{"region", func(c *Config) { c.Endpoint = "" }},
		{"access_key", func(c *Config) { c.AccessKey = "" }},
		{"secret_key", func(c *Config) { c.SecretKey = backends.Secret{} }},
		{"secret_key_file", func(c *Config) { c.SecretKeyFile = file(t, testSecret, 0o600) }},
		{"secret_key_file", secretFile(filepath.Join(t.TempDir(), "missing"))},
		{"secret_key_file", secretFile(file(t, testSecret, 0o640))},
		{"secret_key_file", secretFile(file(t, "", 0o600))},
		{"secret_key_file", secretFile(file(t, "two "+testSecret, 0o600))},
		{"secret_key_file", secretFile(t.TempDir())},
		{"endpoint", func(c *Config) { c.Endpoint = "s3.example.com" }},
		{"endpoint", func(c *Config) { c.Endpoint = "ftp://s3.example.com" }},
		{"endpoint", func(c *Config) { c.Endpoint = "https://user:" + testSecret + "@s3.example.com" }},
		{"server_side_encryption", func(c *Config) { c.ServerSideEncryption = "aes256" }},
		{"kms_key_id", func(c *Config) { c.KMSKeyID = "key-1" }},
		{"storage_class", func(c *Config) { c.StorageClass = "GLACIER" }},
		{"storage_class", func(c *Config) { c.StorageClass = "DEEP_ARCHIVE" }},
		{"connection_timeout", func(c *Config) { c.ConnectionTimeout = 0 }},
		{"request_timeout", func(c *Config) { c.RequestTimeout = 0 }},
		{"max_connections", func(c *Config) { c.MaxConnections = 0 }},
		{"max_retries", func(c *Config) { c.MaxRetries = -1 }},
		{"ca_certificates", func(c *Config) { c.CACertificates = filepath.Join(t.TempDir(), "missing") }},
		{"ca_certificates", func(c *Config) { c.CACertificates = file(t, "no certificate", 0o600) }},
	} {
		cfg := testConfig("http://127.0.0.1:1")
		c.change(&cfg)
		_, err := Open(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want one that names %s", err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), testSecret) {
			t.Errorf("error %v holds the secret key", err)
		}
	}
}

func secretFile(path string) func(*Config) {
	return func(c *Config) { c.SecretKey, c.SecretKeyFile = backends.Secret{}, path }
}

// Credentials come from the configuration, a file, or where the SDK looks.
func TestCredentials(t *testing.T) {
	s := server.Versity(t)
	withoutSettings(t)
	for name, change := range map[string]func(*Config){
		"configuration": func(*Config) {},
		"file":          secretFile(file(t, testSecret+"\n", 0o400)),
		"environment": func(c *Config) {
			c.AccessKey, c.SecretKey = "", backends.Secret{}
			t.Setenv("AWS_ACCESS_KEY_ID", testAccess)
			t.Setenv("AWS_SECRET_ACCESS_KEY", testSecret)
		},
	} {
		cfg := configFor(s)
		change(&cfg)
		if _, err := open(t, cfg).List(t.Context(), backends.ListOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := configFor(s)
	cfg.SecretKey = backends.NewSecret("wrong")
	b := open(t, cfg)
	for op, call := range calls {
		if op != "stat" {
			wantOnly(t, call(t.Context(), b), fs.ErrPermission)
		}
	}
}

func TestBucketTellsNoSecret(t *testing.T) {
	b := fake(t, http.NotFound, nil)
	if got, want := b.String(), "s3 bucket images at "+b.cfg.Endpoint; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		for _, x := range []any{b, b.cfg, &b.cfg} {
			if text := fmt.Sprintf(verb, x); strings.Contains(text, testSecret) {
				t.Errorf("%s of %T holds the secret key", verb, x)
			}
		}
	}
}
