package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/cmd/internal/lab"
)

// TestOtherClouds is a shorter day: the emulators do not keep objects as files
// that could be looked into.
func TestOtherClouds(t *testing.T) {
	for name, store := range map[string]store{"azure": onAzure, "gcs": onGCS} {
		t.Run(name, func(t *testing.T) {
			p := newPACS(t, options{sync: true, store: store})
			images := p.storeByAllMeans(variants(0, len(shared.corpus)))
			images = append(images, p.uploadAll(large(1, 20<<20))...)
			p.checkAll(images)
			p.restartAll()
			p.checkAll(images)
			p.deleteAll(images)
		})
	}
}

// onAzure starts Azurite for the site, with the account that every Azurite has.
func onAzure(t *testing.T, site *lab.Site, budgetMiB int) {
	t.Helper()
	const account = "devstoreaccount1"
	const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	port := fmt.Sprint(server.FreePort(t))
	data := t.TempDir()
	server.Start(t, server.Command{
		Name: "azurite",
		Argv: []string{filepath.Join(server.NPM(t, "azurite@3.37.0"), "azurite-blob"), "--blobHost", "127.0.0.1", "--blobPort", port,
			"--location", data, "--silent", "--disableTelemetry", "--skipApiVersionCheck"},
		Dir:     data,
		Address: "127.0.0.1:" + port,
	})
	connection := fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=http://127.0.0.1:%s/%s;",
		account, key, port, account)
	settings := fmt.Sprintf("connection_string = %q\ncontainer = \"images\"\ncreate_container = true", connection)
	if err := site.Use(budgetMiB, "azure", settings, ""); err != nil {
		t.Fatal(err)
	}
}

// onGCS starts fake-gcs-server for the site.
func onGCS(t *testing.T, site *lab.Site, budgetMiB int) {
	t.Helper()
	const module = "github.com/fsouza/fake-gcs-server"
	port := fmt.Sprint(server.FreePort(t))
	url := "http://127.0.0.1:" + port
	server.Start(t, server.Command{
		Name: "fake-gcs-server",
		Argv: []string{server.GoInstall(t, module+"@v1.56.1", module), "-scheme", "http", "-host", "127.0.0.1", "-port", port,
			"-backend", "memory", "-public-host", "127.0.0.1", "-log-level", "error"},
		Dir:   t.TempDir(),
		Ready: func(ctx context.Context) error { return makeBucket(ctx, url) },
	})
	if err := site.Use(budgetMiB, "gcs", fmt.Sprintf("bucket = \"images\"\nendpoint = %q", url), ""); err != nil {
		t.Fatal(err)
	}
}

func makeBucket(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/storage/v1/b", bytes.NewReader([]byte(`{"name":"images"}`)))
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
