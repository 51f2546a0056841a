package e2e_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A site that has switched over: what the plain directory holds is read until
// it is in the bucket, new files go to the bucket alone, and deletes reach both.
func TestFallbackDir(t *testing.T) {
	t.Parallel()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(filepath.Join(pluginData, "plain-legacy"))); err != nil {
		t.Fatal(err)
	}
	ctx, site := newPluginSite(t, pluginBucket{"sealed-legacy", "legacy", "", true}, fmt.Sprintf("fallback_dir = %q", old))
	if err := os.RemoveAll(filepath.Join(site.Bucket().Dir, "pacs/1f")); err != nil { // two files are in old alone
		t.Fatal(err)
	}
	mustMount(t, ctx, site)
	sums := pluginSums(t)
	if got := tree(t, site.Mountpoint()); fmt.Sprint(got) != fmt.Sprint(sums) {
		t.Errorf("listed %v", got)
	}
	storeFile(t, filepath.Join(site.Mountpoint(), attachment), "new")
	if _, err := os.Stat(filepath.Join(old, attachment)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a new file is in the old directory: %v", err)
	}
	for path := range sums {
		mounted := filepath.Join(site.Mountpoint(), path)
		if err := os.Remove(mounted); err != nil {
			t.Error(err)
		}
		for _, place := range []string{mounted, filepath.Join(old, path), site.Bucket().Path("pacs/" + path)} {
			if _, err := os.Stat(place); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s after the delete: %v", place, err)
			}
		}
	}
	if err := os.RemoveAll(old); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(site.Mountpoint(), "00/00/00000000-1111-4222-8333-444455556666")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file that might have been in the removed directory: %v", err)
	}
	if content, err := os.ReadFile(filepath.Join(site.Mountpoint(), attachment)); err != nil || string(content) != "new" {
		t.Errorf("a file in the bucket: %q, %v", content, err)
	}
}

// An old StorageDirectory with Orthanc's index in it serves as local_dir, too.
func TestFallbackDirIsLocalDir(t *testing.T) {
	t.Parallel()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(filepath.Join(pluginData, "plain-legacy"))); err != nil {
		t.Fatal(err)
	}
	storeFile(t, filepath.Join(old, "index"), "the index")
	ctx, site := newPluginSite(t, pluginBuckets()[0], fmt.Sprintf("fallback_dir = %q\nlocal_dir = %q", old, old))
	if err := os.RemoveAll(filepath.Join(site.Bucket().Dir, "pacs")); err != nil {
		t.Fatal(err)
	}
	mustMount(t, ctx, site)
	want := pluginSums(t)
	want["index"] = fmt.Sprintf("%x", sha256.Sum256([]byte("the index")))
	if got := tree(t, site.Mountpoint()); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("listed %v", got)
	}
}

func TestMissingFallbackDirStopsTheStart(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"missing": filepath.Join(t.TempDir(), "none"), "not mounted": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			ctx, site := newPluginSite(t, pluginBuckets()[0], fmt.Sprintf("fallback_dir = %q", dir))
			wantRefusal(t, ctx, site, "fallback_dir", dir+": ", "remove fallback_dir if every file is in the bucket")
		})
	}
}
