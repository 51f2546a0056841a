package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/cmd/internal/lab"
)

// configure adds lines to a site's configuration.
func configure(t *testing.T, site *lab.Site, lines string) {
	t.Helper()
	path := filepath.Join(site.Dir, "config.toml")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, lines); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, ctx context.Context, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// What a mounted daemon tells of itself, after operations that are known.
func TestMetrics(t *testing.T) {
	ctx, site := newSite(t)
	address := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	configure(t, site, fmt.Sprintf("[metrics]\nlisten = %q", address))
	daemon := mustMount(t, ctx, site)
	url := "http://" + address
	_, before := get(t, ctx, url+"/metrics")
	path := filepath.Join(site.Mountpoint(), attachment)
	storeFile(t, path, strings.Repeat("x", 1000))
	if _, err := os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, after := get(t, ctx, url+"/metrics")
	for line, want := range map[string]int{
		`orthanc_bucketfs_operations_total{kind="store",outcome="ok"} `:        1,
		`orthanc_bucketfs_operations_total{kind="read",outcome="ok"} `:         1,
		`orthanc_bucketfs_operations_total{kind="delete",outcome="ok"} `:       1,
		`orthanc_bucketfs_content_bytes_total{kind="store"} `:                  1000,
		`orthanc_bucketfs_content_bytes_total{kind="read"} `:                   1000,
		`orthanc_bucketfs_bucket_requests_total{method="create",status="ok"} `: 1,
		`orthanc_bucketfs_bucket_requests_total{method="delete",status="ok"} `: 1,
		`orthanc_bucketfs_open_files `:                                         0,
		`orthanc_bucketfs_written_files `:                                      0,
	} {
		if got := value(t, after, line) - value(t, before, line); got != want {
			t.Errorf("%s grew by %d, want %d", line, got, want)
		}
	}
	for _, probe := range []string{"/healthz", "/readyz"} {
		if code, body := get(t, ctx, url+probe); code != http.StatusOK || body != "ok\n" {
			t.Errorf("%s: %d %q", probe, code, body)
		}
	}
	for _, line := range []string{"msg=stored key=" + attachment + " size=1000", "msg=read key=" + attachment + " size=1000", "msg=deleted key=" + attachment} {
		if !strings.Contains(daemon.Log.String(), line) {
			t.Errorf("the log has no line %q", line)
		}
	}
}

// value returns the number of a metric, 0 if it is not there.
func value(t *testing.T, metrics, name string) int {
	t.Helper()
	for line := range strings.Lines(metrics) {
		if text, ok := strings.CutPrefix(line, name); ok {
			var n float64
			if _, err := fmt.Sscan(text, &n); err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
	}
	return 0
}

// SIGHUP: a new master key seals what is stored from then on, and what was
// stored before can still be read.
func TestReloadWhileMounted(t *testing.T) {
	ctx, site := newSite(t)
	daemon := mustMount(t, ctx, site)
	first := filepath.Join(site.Mountpoint(), attachment)
	storeFile(t, first, "under key 1")
	newKey := filepath.Join(site.Dir, "master-2.key")
	if out, err := exec.CommandContext(ctx, site.Binary, "keygen", newKey).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config := filepath.Join(site.Dir, "config.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	old := fmt.Sprintf("master_key = { id = 1, path = %q }", site.Key())
	both := fmt.Sprintf("master_key = { id = 2, path = %q }\nprevious_master_keys = [ { id = 1, path = %q } ]", newKey, site.Key())
	changed := strings.Replace(string(text), old, both, 1)
	if err := os.WriteFile(config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Await(ctx, "keys changed"); err != nil {
		t.Fatal(err)
	}
	second := strings.Replace(attachment, "6666", "7777", 1)
	storeFile(t, filepath.Join(site.Mountpoint(), second), "under key 2")
	for key, id := range map[string]byte{attachment: 1, second: 2} {
		sealed, err := os.ReadFile(site.Bucket().Path(key))
		if err != nil || sealed[2] != id {
			t.Errorf("%s: sealed under key %d, %v; want %d", key, sealed[2], err, id)
		}
	}
	if content, err := os.ReadFile(first); err != nil || string(content) != "under key 1" {
		t.Errorf("%q, %v", content, err)
	}
}
