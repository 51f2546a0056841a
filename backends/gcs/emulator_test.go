package gcs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"orthanc-bucketfs/backends/backendtest/server"
)

const (
	emulatorModule = "github.com/fsouza/fake-gcs-server@v1.56.1"
	bucketName     = "images"
)

// startEmulator runs fake-gcs-server with an empty bucket and returns its URL.
func startEmulator(t *testing.T) string {
	t.Helper()
	binary := server.GoInstall(t, emulatorModule, "github.com/fsouza/fake-gcs-server")
	port := server.FreePort(t)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	server.Start(t, server.Command{
		Name: "fake-gcs-server",
		Argv: []string{
			binary, "-scheme", "http", "-host", "127.0.0.1", "-port", fmt.Sprint(port),
			"-backend", "memory", "-public-host", "127.0.0.1", "-log-level", "error",
		},
		Dir:   t.TempDir(),
		Ready: func(ctx context.Context) error { return createBucket(ctx, url) },
	})
	return url
}

func createBucket(ctx context.Context, url string) error {
	body, err := json.Marshal(map[string]string{"name": bucketName})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/storage/v1/b", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("creating a bucket: %s", resp.Status)
	}
	return nil
}

// testConfig has short timeouts and no retries.
func testConfig(endpoint string) Config {
	cfg := DefaultConfig()
	cfg.Bucket = bucketName
	cfg.Endpoint = endpoint
	cfg.MaxRetries = 0
	return cfg
}

func open(t *testing.T, cfg Config) *Bucket {
	t.Helper()
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}
