package s3

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/server"
)

const (
	testBucket = "images"
	testAccess = "test-access"
	testSecret = "test-secret-key"
)

// startGateway runs a Versity S3 Gateway over an empty directory with one
// bucket, and returns its URL.
func startGateway(t *testing.T) string {
	t.Helper()
	const module = "github.com/versity/versitygw"
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, testBucket), 0o700); err != nil {
		t.Fatal(err)
	}
	binary := server.GoInstall(t, module+"@v1.8.0", module+"/cmd/versitygw")
	address := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	server.Start(t, server.Command{
		Name:    "versitygw",
		Argv:    []string{binary, "--quiet", "--port", address, "posix", root},
		Env:     []string{"ROOT_ACCESS_KEY=" + testAccess, "ROOT_SECRET_KEY=" + testSecret},
		Address: address,
	})
	return "http://" + address
}

func testConfig(endpoint string) Config {
	cfg := DefaultConfig()
	cfg.Bucket = testBucket
	cfg.Endpoint = endpoint
	cfg.AccessKey = testAccess
	cfg.SecretKey = backends.NewSecret(testSecret)
	cfg.PathStyle = true
	cfg.MaxRetries = 0
	return cfg
}

func open(t *testing.T, cfg Config) *Bucket {
	t.Helper()
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
