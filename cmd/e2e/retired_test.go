package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An object under a retired key is shown if the store had it before the end of
// the key, and refused if it came later.
func TestRetiredKey(t *testing.T) {
	t.Parallel()
	ctx, site := newPluginSite(t, pluginBuckets()[0], "")
	config := filepath.Join(site.Dir, "config.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	retired := strings.Replace(string(text), "{ id = 2,", fmt.Sprintf("{ not_after = %s, id = 2,", end.Format(time.RFC3339)), 1)
	storeFile(t, config, retired)
	mustMount(t, ctx, site)

	const underKey2 = "1f/5c/1f5c9d41-77b0-4f0e-8d35-5f2e4c6b7a02"
	object := site.Bucket().Path("pacs/" + underKey2)
	// In this order: what has been opened is kept for a moment.
	for _, c := range []struct {
		stored time.Time
		want   error
	}{{end.Add(time.Second), syscall.EKEYEXPIRED}, {end, nil}} {
		if err := os.Chtimes(object, time.Time{}, c.stored); err != nil {
			t.Fatal(err)
		}
		if _, err := os.ReadFile(filepath.Join(site.Mountpoint(), underKey2)); !errors.Is(err, c.want) {
			t.Errorf("stored at %v: %v, want %v", c.stored, err, c.want)
		}
	}
	for path := range pluginSums(t) {
		if _, err := os.ReadFile(filepath.Join(site.Mountpoint(), path)); path != underKey2 && err != nil {
			t.Errorf("under another key: %v", err)
		}
	}
}
