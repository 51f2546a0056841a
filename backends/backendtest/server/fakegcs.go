package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

// GCSServer is a server that stands in for Google Cloud Storage, with one empty
// bucket. It asks for no credentials.
type GCSServer struct {
	URL    string
	Bucket string
}

// FakeGCS runs a fake-gcs-server that keeps its objects in memory.
func FakeGCS(t testing.TB) GCSServer {
	t.Helper()
	const module = "github.com/fsouza/fake-gcs-server"
	binary := GoInstall(t, module+"@v1.56.1", module)
	port := fmt.Sprint(FreePort(t))
	s := GCSServer{URL: "http://127.0.0.1:" + port, Bucket: "images"}
	Start(t, Command{
		Name: "fake-gcs-server",
		Argv: []string{
			binary, "-scheme", "http", "-host", "127.0.0.1", "-port", port,
			"-backend", "memory", "-public-host", "127.0.0.1", "-log-level", "error",
		},
		Dir:   t.TempDir(),
		Ready: s.createBucket,
	})
	return s
}

func (s GCSServer) createBucket(ctx context.Context) error {
	body, err := json.Marshal(map[string]string{"name": s.Bucket})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/storage/v1/b", bytes.NewReader(body))
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
