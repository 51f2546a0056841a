package e2e_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"orthanc-bucketfs/backends/backendtest/wire"
)

// A daemon that is killed while a delete is not answered, and has not been carried
// out: Orthanc does not know the file any more, so the next daemon deletes it.
func TestKillDuringDelete(t *testing.T) {
	for _, backend := range []string{"s3", "azure", "gcs"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			ctx, site := newSite(t)
			c, proxy := clouds()[backend](t).behind(t)
			must(t, site.Use(16, c.backend, c.settings, c.objects))
			daemon := mustMount(t, ctx, site)
			path := filepath.Join(site.Mountpoint(), attachment)
			storeFile(t, path, "content")
			removed := removeUnanswered(t, ctx, proxy, path)
			must(t, daemon.Kill())
			if err := <-removed; err == nil {
				t.Error("the delete succeeded")
			}
			proxy.Inject(nil)
			if _, err := c.bucket.Stat(ctx, attachment); err != nil {
				t.Fatalf("before the next start: %v", err)
			}
			daemon = mustMount(t, ctx, site)
			must(t, daemon.Await(ctx, "deleted a file whose deletion had failed before"))
			if _, err := c.bucket.Stat(ctx, attachment); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is left: %v", err)
			}
			must(t, daemon.Stop(ctx))
		})
	}
}

// removeUnanswered begins to remove a file, and returns when the store has been
// sent a DELETE, to which there is no answer.
func removeUnanswered(t *testing.T, ctx context.Context, proxy *wire.Proxy, path string) <-chan error {
	t.Helper()
	sent := make(chan struct{}, 1)
	proxy.Inject(func(r *http.Request) wire.Fault {
		if r.Method != http.MethodDelete {
			return nil
		}
		select {
		case sent <- struct{}{}:
		default:
		}
		return wire.Hang
	})
	removed := make(chan error, 1)
	go func() { removed <- os.Remove(path) }()
	select {
	case <-sent:
	case <-ctx.Done():
		t.Fatal("no DELETE was sent")
	}
	return removed
}
