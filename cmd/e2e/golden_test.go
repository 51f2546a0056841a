package e2e_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"orthanc-bucketfs/cmd/internal/lab"
)

const pluginData = "testdata/plugin"

// pluginBucket is a bucket in testdata, and how it has to be configured.
type pluginBucket struct {
	dir, layout string
	mode        string // a line of the section [encryption]
	sealed      bool
}

func pluginBuckets() []pluginBucket {
	return []pluginBucket{
		{"sealed-legacy", "legacy", "", true},
		{"sealed-flat", "flat", "", true},
		{"plain-legacy", "legacy", "accept_plaintext = true", false},
		{"plain-flat", "flat", "accept_plaintext = true", false},
	}
}

// newPluginSite is a site on a copy of b, below a root path, with the keys that
// its objects were sealed with.
func newPluginSite(t *testing.T, b pluginBucket, more string) (context.Context, *lab.Site) {
	t.Helper()
	ctx, site := newSite(t)
	if err := os.CopyFS(filepath.Join(site.Bucket().Dir, "pacs"), os.DirFS(filepath.Join(pluginData, b.dir))); err != nil {
		t.Fatal(err)
	}
	configurePlugin(t, site, b, more, "dir", fmt.Sprintf("path = %q", site.Bucket().Dir))
	return ctx, site
}

// configurePlugin writes the configuration for b: more are further keys of the
// top level, settings those of the backend's section.
func configurePlugin(t *testing.T, site *lab.Site, b pluginBucket, more, backend, settings string) {
	t.Helper()
	config := fmt.Sprintf("mountpoint = %q\nbackend = %q\nowner = \"\"\nuser = %q\nroot_path = \"pacs\"\nlayout = %q\n%s\n[%s]\n%s\n"+
		"[encryption]\nmaster_key = { id = 1, path = %q }\nprevious_master_keys = [\n%s]\n%s\n",
		site.Mountpoint(), backend, lab.DaemonUser, b.layout, more, backend, settings, pluginKey(t, site, "1"), previousKeys(t, site), b.mode)
	storeFile(t, filepath.Join(site.Dir, "config.toml"), config)
}

func previousKeys(t *testing.T, site *lab.Site) string {
	t.Helper()
	var lines strings.Builder
	for _, id := range []string{"2", "16909060", "4294967295"} {
		fmt.Fprintf(&lines, "  { id = %s, path = %q },\n", id, pluginKey(t, site, id))
	}
	return lines.String()
}

// pluginKey copies a key, with the mode that is asked of key files.
func pluginKey(t *testing.T, site *lab.Site, id string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(pluginData, "keys", "master-"+id+".key"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(site.Dir, "plugin-"+id+".key")
	storeFile(t, path, string(text))
	return path
}

// pluginSums returns the digests of the files by their names in the mount.
func pluginSums(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(pluginData, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		sums[fields[1]] = fields[0]
	}
	return sums
}

// tree returns the digests of all files below dir, which it finds by listing.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		if err == nil && info.Size() != int64(len(content)) {
			err = fmt.Errorf("%s has %d bytes, but stat says %d", path, len(content), info.Size())
		}
		sums[path] = fmt.Sprintf("%x", sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// Every layout of the plugin is read through a mount, found by name as well as
// by listing; what is new is stored sealed and legacy; deletes leave nothing.
func TestPluginBuckets(t *testing.T) {
	t.Parallel()
	for _, b := range pluginBuckets() {
		t.Run(b.dir, func(t *testing.T) {
			t.Parallel()
			ctx, site := newPluginSite(t, b, "")
			daemon := mustMount(t, ctx, site)
			sums := pluginSums(t)
			for path, sum := range sums { // by name, before anything was listed
				content, err := os.ReadFile(filepath.Join(site.Mountpoint(), path))
				if got := fmt.Sprintf("%x", sha256.Sum256(content)); err != nil || got != sum {
					t.Errorf("%s: %s, %v", path, got, err)
				}
			}
			if got := tree(t, site.Mountpoint()); fmt.Sprint(got) != fmt.Sprint(sums) {
				t.Errorf("listed %v", got)
			}
			storeFile(t, filepath.Join(site.Mountpoint(), attachment), "new")
			body, err := os.ReadFile(site.Bucket().Path("pacs/" + attachment))
			if err != nil || !strings.HasPrefix(string(body), "A1\x01\x00\x00\x00") {
				t.Errorf("a new file is not an envelope under its legacy key: %.6q, %v", body, err)
			}
			for path := range sums {
				if err := os.Remove(filepath.Join(site.Mountpoint(), path)); err != nil {
					t.Error(err)
				}
			}
			if names, err := site.Bucket().Files(); err != nil || !slices.Equal(names, []string{"pacs/" + attachment}) {
				t.Errorf("the bucket holds %v, %v", names, err)
			}
			if err := daemon.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// In sealed buckets, a flipped bit in any part of any kind of object is
// reported by open, and no byte is shown.
func TestDamagedPluginObjects(t *testing.T) {
	t.Parallel()
	for _, b := range pluginBuckets() {
		if !b.sealed {
			continue
		}
		t.Run(b.dir, func(t *testing.T) {
			t.Parallel()
			ctx, site := newPluginSite(t, b, "")
			mustMount(t, ctx, site)
			for path := range pluginSums(t) {
				object := pluginObject(t, site, path)
				info, err := os.Stat(object)
				if err != nil {
					t.Fatal(err)
				}
				for part, at := range map[string]int64{"magic": 1, "key id": 5, "nonce": 6, "data key": 38, "content": 70, "tag": info.Size() - 1} {
					want := syscall.EIO
					if part == "key id" {
						want = syscall.ENOKEY
					}
					if err := flip(object, at); err != nil {
						t.Fatal(err)
					}
					if content, err := os.ReadFile(filepath.Join(site.Mountpoint(), path)); !errors.Is(err, want) {
						t.Errorf("%s with a bit of its %s flipped: %d bytes, %v", filepath.Base(object), part, len(content), err)
					}
					if err := flip(object, at); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := os.ReadFile(filepath.Join(site.Mountpoint(), path)); err != nil {
					t.Errorf("%s mended: %v", filepath.Base(object), err)
				}
			}
		})
	}
}

// pluginObject returns the file in the bucket that the file at path in the
// mount comes from.
func pluginObject(t *testing.T, site *lab.Site, path string) string {
	t.Helper()
	names, err := site.Bucket().Files()
	for _, name := range names {
		if strings.Contains(name, filepath.Base(path)) {
			return site.Bucket().Path(name)
		}
	}
	t.Fatalf("no object of %s among %v, %v", path, names, err)
	return ""
}

// Plaintext is refused unless the configuration declares it, and that is said
// aloud.
func TestPlaintextMustBeDeclared(t *testing.T) {
	t.Parallel()
	for _, b := range pluginBuckets() {
		if b.sealed {
			continue
		}
		t.Run(b.dir, func(t *testing.T) {
			t.Parallel()
			ctx, site := newPluginSite(t, b, "")
			daemon := mustMount(t, ctx, site)
			if err := daemon.Await(ctx, "level=WARN msg=\"accept_plaintext is on"); err != nil {
				t.Error(err)
			}
			if err := daemon.Stop(ctx); err != nil {
				t.Fatal(err)
			}
			undeclared := b
			undeclared.mode = ""
			ctx, site = newPluginSite(t, undeclared, "")
			wantRefusal(t, ctx, site, "none of", "opens with the configured keys")
		})
	}
}
