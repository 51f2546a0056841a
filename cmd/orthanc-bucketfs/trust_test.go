package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReplaceable puts a key where others can put one of theirs.
func TestReplaceable(t *testing.T) {
	asRoot := os.Geteuid() == 0
	for _, test := range []struct {
		name, want string
		needsRoot  bool
		change     func(dir, key string) (path string, err error)
	}{
		{"private", "", false, func(_, key string) (string, error) { return key, nil }},
		{"missing", "", false, func(dir, key string) (string, error) { return key + ".none", os.Chmod(dir, 0o777) }},
		{"directory of everybody", "which has mode 0777, others can replace it", false, func(dir, key string) (string, error) { return key, os.Chmod(dir, 0o777) }},
		{"sticky directory", "", false, func(dir, key string) (string, error) { return key, os.Chmod(dir, 0o777|os.ModeSticky) }},
		{"directory above", "others can replace it", false, func(dir, key string) (string, error) {
			return key, os.Chmod(filepath.Dir(dir), 0o707)
		}},
		{"directory of somebody", "it belongs to user 65534", true, func(dir, key string) (string, error) { return key, os.Chown(dir, 65534, 0) }},
		{"group of somebody", "others can replace it", true, func(dir, key string) (string, error) {
			if err := os.Chown(dir, 0, 65534); err != nil {
				return "", err
			}
			return key, os.Chmod(dir, 0o770)
		}},
		{"key of somebody", "it belongs to user 65534", true, func(_, key string) (string, error) { return key, os.Chown(key, 65534, 0) }},
		{"link in a private directory", "", false, func(dir, key string) (string, error) { return key + ".link", os.Symlink(key, key+".link") }},
		{"link to everybody's", "others can replace it", false, func(dir, key string) (string, error) {
			link := filepath.Join(filepath.Dir(dir), "link")
			if err := os.Symlink(key, link); err != nil {
				return "", err
			}
			return link, os.Chmod(dir, 0o777)
		}},
		{"link of everybody's", "others can replace it", false, func(dir, key string) (string, error) {
			open := filepath.Join(filepath.Dir(dir), "open")
			if err := os.Mkdir(open, 0o700); err != nil {
				return "", err
			}
			if err := os.Symlink(key, filepath.Join(open, "link")); err != nil {
				return "", err
			}
			return filepath.Join(open, "link"), os.Chmod(open, 0o777)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.needsRoot && !asRoot {
				t.Skip("needs root")
			}
			dir := filepath.Join(t.TempDir(), "keys")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			key := filepath.Join(dir, "key")
			if err := os.WriteFile(key, []byte("key"), 0o600); err != nil {
				t.Fatal(err)
			}
			path, err := test.change(dir, key)
			if err != nil {
				t.Fatal(err)
			}
			if got := replaceable(path); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// What holds a secret is looked at, whatever it is for.
func TestTrustFindings(t *testing.T) {
	dir := t.TempDir()
	var cfg Config
	id := int64(1)
	cfg.Encryption.MasterKey = KeyFile{ID: &id, Path: filepath.Join(dir, "key")}
	cfg.S3.SecretKeyFile, cfg.S3.CACertificates = filepath.Join(dir, "secret"), filepath.Join(dir, "ca")
	cfg.Azure.ConnectionStringFile, cfg.GCS.ServiceAccountFile = filepath.Join(dir, "azure"), filepath.Join(dir, "gcs")
	file := filepath.Join(dir, "config.toml")
	paths := []string{file, cfg.Encryption.MasterKey.Path, cfg.S3.SecretKeyFile, cfg.S3.CACertificates, cfg.Azure.ConnectionStringFile, cfg.GCS.ServiceAccountFile}
	for _, path := range paths {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := trustFindings(file, cfg); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	found := trustFindings(file, cfg)
	for _, path := range paths {
		n := 0
		for _, f := range found {
			if strings.HasPrefix(f.Warning, path+": ") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: %d warnings in %v", path, n, found)
		}
	}
}
