package azure

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/backends/internal/httpconn"
)

func TestConfigTOML(t *testing.T) {
	cfg := DefaultConfig()
	md, err := toml.Decode(`
connection_string = "secret"
connection_string_file = "/etc/cs"
account_url = "https://a.blob.core.windows.net"
container = "images"
create_container = true
access_tier = "Cool"
connection_timeout = 1
request_timeout = 2
max_connections = 3
max_retries = 4
`, &cfg)
	want := Config{backends.NewSecret("secret"), "/etc/cs", "https://a.blob.core.windows.net", "images", true, "Cool", nil, backends.Limits{ConnectionTimeout: 1, RequestTimeout: 2, MaxConnections: 3, MaxRetries: 4}}
	if err != nil || len(md.Undecoded()) > 0 || cfg.ConnectionString.Reveal() != "secret" {
		t.Fatalf("error %v, unknown keys %v", err, md.Undecoded())
	}
	cfg.ConnectionString = want.ConnectionString
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v, want %+v", cfg, want)
	}
	if strings.Contains(fmt.Sprintf("%+v %#v", cfg, cfg), "secret") {
		t.Errorf("the secret is printed: %+v", cfg)
	}
}

const exampleString = "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=" + server.AzuriteKey + ";EndpointSuffix=core.windows.net"

func TestOpenRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte(exampleString), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.ConnectionString = backends.Secret{} }, "connection_string_file"},
		{func(c *Config) { c.AccountURL = "https://a.blob.core.windows.net" }, "exactly one"},
		{func(c *Config) { c.ConnectionStringFile = "/etc/cs" }, "exactly one"},
		{func(c *Config) { c.Container = "" }, "container"},
		{func(c *Config) { c.Container = "Images" }, "container"},
		{func(c *Config) { c.Container = "a/b" }, "container"},
		{func(c *Config) { c.Container = "ab--c" }, "container"},
		{func(c *Config) { c.Container = "-abc" }, "container"},
		{func(c *Config) { c.Container = strings.Repeat("a", 64) }, "container"},
		{func(c *Config) { c.AccessTier = "Archive" }, "access_tier"},
		{func(c *Config) { c.AccessTier = "cool" }, "access_tier"},
		{func(c *Config) { c.ConnectionTimeout = 0 }, "connection_timeout"},
		{func(c *Config) { c.RequestTimeout = 0 }, "request_timeout"},
		{func(c *Config) { c.MaxConnections = 0 }, "max_connections"},
		{func(c *Config) { c.MaxRetries = -1 }, "max_retries"},
		{func(c *Config) { c.ConnectionString = backends.NewSecret("Top;Secret") }, "connection string"},
		{func(c *Config) { c.ConnectionString = backends.NewSecret("AccountName=a;AccountKey=TopSecret!") }, "connection string"},
		{func(c *Config) { c.ConnectionString = backends.NewSecret("AccountName=a") }, "connection string"},
		{func(c *Config) {
			c.ConnectionString = backends.NewSecret("BlobEndpoint=TopSecret;SharedAccessSignature=x")
		}, "connection string"},
		{func(c *Config) { *c = fromFile(*c, "/nonexistent") }, "connection_string_file: no such file"},
		{func(c *Config) { *c = fromFile(*c, empty) }, "is empty"},
		{func(c *Config) { *c = fromFile(*c, open) }, "connection_string_file: mode 0644"},
		{func(c *Config) { *c = fromURL(*c, "https://a.blob.core.windows.net/?sig=TopSecret") }, "account_url"},
		{func(c *Config) { *c = fromURL(*c, "https://u:TopSecret@a.blob.core.windows.net/") }, "account_url"},
		{func(c *Config) { *c = fromURL(*c, "http://a.blob.core.windows.net") }, "account_url"},
		{func(c *Config) { *c = fromURL(*c, "a.blob.core.windows.net") }, "account_url"},
	} {
		cfg := DefaultConfig()
		cfg.ConnectionString = backends.NewSecret(exampleString)
		cfg.Container = "images"
		c.change(&cfg)
		b, err := Open(t.Context(), cfg)
		if err == nil || b != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Open: error %v does not tell of %s", err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "Secret") || strings.Contains(err.Error(), server.AzuriteKey[:10])) {
			t.Errorf("Open: error shows a secret: %v", err)
		}
	}
}

func fromFile(c Config, path string) Config {
	c.ConnectionString, c.ConnectionStringFile = backends.Secret{}, path
	return c
}

func fromURL(c Config, u string) Config {
	c.ConnectionString, c.AccountURL = backends.Secret{}, u
	return c
}

func TestOpenNamesTheBucket(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cs")
	if err := os.WriteFile(file, []byte(exampleString+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := DefaultConfig()
	base.Container = "images"
	multiLine := base
	multiLine.ConnectionString = backends.NewSecret("\n" + exampleString + "\r\n")
	pathStyle := base
	pathStyle.ConnectionString = backends.NewSecret("AccountName=acct;AccountKey=" + server.AzuriteKey + ";BlobEndpoint=http://127.0.0.1:1/acct")
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{fromFile(base, file), "azure container images at https://acct.blob.core.windows.net"},
		{fromURL(base, "https://acct.blob.core.windows.net"), "azure container images at https://acct.blob.core.windows.net"},
		{fromURL(base, "https://acct.blob.core.windows.net/"), "azure container images at https://acct.blob.core.windows.net"},
		{multiLine, "azure container images at https://acct.blob.core.windows.net"},
		{pathStyle, "azure container images at http://127.0.0.1:1/acct"},
	} {
		b := openAt(t, c.cfg, defaultSizes())
		if b.String() != c.want {
			t.Errorf("got %q, want %q", b, c.want)
		}
	}
	sas := fake(t, 0, nil)
	if strings.Contains(sas.String(), signature) || strings.Contains(sas.String(), "?") {
		t.Errorf("the bucket's name shows the signature: %s", sas)
	}
}

func TestOpenThatCannotCreateTheContainer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "AuthorizationFailure")
	}))
	t.Cleanup(srv.Close)
	cfg := DefaultConfig()
	cfg.ConnectionString = backends.NewSecret("BlobEndpoint=" + srv.URL + "/;SharedAccessSignature=sig=" + signature)
	cfg.Container, cfg.CreateContainer = "images", true
	b, err := Open(t.Context(), cfg)
	if b != nil || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Open: %v, error %v", b, err)
	}
	wantNoSecret(t, "Open", err)
}

func TestTransport(t *testing.T) {
	cfg := DefaultConfig()
	tr := newTransport(httpconn.NewPool(httpconn.For(cfg.Limits)))
	if tr.MaxConnsPerHost != cfg.MaxConnections || tr.MaxIdleConnsPerHost != cfg.MaxConnections ||
		tr.TLSClientConfig.MinVersion < 0x0303 || tr.Protocols.HTTP2() || tr.Proxy == nil {
		t.Errorf("transport %+v", tr)
	}
}
