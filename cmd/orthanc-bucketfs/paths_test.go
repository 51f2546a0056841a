package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func credentials(dir string) func(string) (string, bool) {
	return func(name string) (string, bool) { return dir, name == "CREDENTIALS_DIRECTORY" }
}

func TestExpand(t *testing.T) {
	tests := []struct {
		path, want string
		err        error
	}{
		{path: "/a/b", want: "/a/b"},
		{path: "", want: ""},
		{path: "$CREDENTIALS_DIRECTORY/k", want: "/run/c$x/k"},
		{path: "${CREDENTIALS_DIRECTORY}/k", want: "/run/c$x/k"},
		{path: "${CREDENTIALS_DIRECTORY}k", want: "/run/c$xk"},
		{path: "$CREDENTIALS_DIRECTORY", want: "/run/c$x"},
		{path: "$CREDENTIALS_DIRECTORY-$CREDENTIALS_DIRECTORY", want: "/run/c$x-/run/c$x"},
		{path: "$CREDENTIALS_DIRECTORY2/k", err: errOtherVariable},
		{path: "$CREDENTIALS_DIRECTORYX/k", err: errOtherVariable},
		{path: "$CREDENTIALS_DIRECTORY_/k", err: errOtherVariable},
		{path: "${CREDENTIALS_DIRECTORY/k", err: errOtherVariable},
		{path: "$HOME/k", err: errOtherVariable},
		{path: "${HOME}/k", err: errOtherVariable},
		{path: "$CREDENTIALS_DIRECTORY/$HOME", err: errOtherVariable},
		{path: "/a$", err: errOtherVariable},
		{path: "/a$$", err: errOtherVariable},
		{path: "/a$/b", err: errOtherVariable},
	}
	for _, test := range tests {
		got, err := expand(test.path, credentials("/run/c$x"))
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: got %q, %v; want %q, %v", test.path, got, err, test.want, test.err)
		}
	}
}

func TestExpandWithoutCredentials(t *testing.T) {
	for name, env := range map[string]func(string) (string, bool){"unset": noEnvironment, "empty": credentials("")} {
		if got, err := expand("$CREDENTIALS_DIRECTORY/k", env); !errors.Is(err, errNoCredentials) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestConfiguredPathsAreExpanded(t *testing.T) {
	cfg, err := loadConfig(writeConfig(t, `
backend = "dir"
mountpoint = "$CREDENTIALS_DIRECTORY/m"
local_dir = "$CREDENTIALS_DIRECTORY/l"
dir.path = "$CREDENTIALS_DIRECTORY/b"
[encryption]
master_key = { id = 1, path = "$CREDENTIALS_DIRECTORY/1" }
previous_master_keys = [ { id = 2, path = "${CREDENTIALS_DIRECTORY}/2" } ]
`), credentials("/run/c"))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{cfg.Mountpoint, cfg.LocalDir, cfg.Dir.Path, cfg.Encryption.MasterKey.Path, cfg.Encryption.PreviousMasterKeys[0].Path}
	if want := []string{"/run/c/m", "/run/c/l", "/run/c/b", "/run/c/1", "/run/c/2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestExpansionFaultsNameTheKey(t *testing.T) {
	text := "mountpoint = '$HOME/m'\n" + strings.Replace(required, "/etc/keys", "$CREDENTIALS_DIRECTORY", 1)
	_, err := loadConfig(writeConfig(t, text), noEnvironment)
	if got, want := faultList(t, err), []string{"1 mountpoint", "6 encryption.master_key.path"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, errOtherVariable) || !errors.Is(err, errNoCredentials) {
		t.Errorf("got %v", err)
	}
}

func TestDirectoriesAreApart(t *testing.T) {
	// m mountpoint, b bucket, l local_dir, o fallback_dir, k key file
	tests := []struct {
		m, b, l, o, k string
		want          []string
	}{
		{m: "/x/m", b: "/x/b", l: "/x/l", k: "/x/k"},
		{m: "/x/m", b: "/x/m2", l: "/x/m2l", k: "/x/m2k"},
		{m: "/x/m", b: "/x/m", k: "/k", want: []string{"dir.path"}},
		{m: "/x/m", b: "/x/m/b", k: "/k", want: []string{"dir.path"}},
		{m: "/x/m", b: "/x", k: "/k", want: []string{"dir.path"}},
		{m: "/x/m", b: "/b", l: "/x/m", k: "/k", want: []string{"local_dir"}},
		{m: "/x/m", b: "/b", l: "/x/m/l", k: "/k", want: []string{"local_dir"}},
		{m: "/x/m", b: "/b", l: "/x", k: "/k", want: []string{"local_dir"}},
		{m: "/m", b: "/x/b", l: "/x/b", k: "/k", want: []string{"local_dir"}},
		{m: "/m", b: "/x/b", l: "/x/b/l", k: "/k", want: []string{"local_dir"}},
		{m: "/m", b: "/x/b", l: "/x", k: "/k", want: []string{"local_dir"}},
		{m: "/m", b: "/b", l: "/l", k: "/m/k", want: []string{"encryption.master_key.path"}},
		{m: "/m", b: "/b", l: "/l", k: "/b/k", want: []string{"encryption.master_key.path"}},
		{m: "/m", b: "/b", l: "/l", k: "/l/k", want: []string{"encryption.master_key.path"}},
		{m: "/m", b: "/b", l: "/l", o: "/o", k: "/k"},
		{m: "/m", b: "/b", l: "/l", o: "/l", k: "/k"}, // the old directory, with the index in it
		{m: "/m", b: "/b", l: "/o/l", o: "/o", k: "/k", want: []string{"fallback_dir"}},
		{m: "/m", b: "/b", l: "/l", o: "/l/o", k: "/k", want: []string{"fallback_dir"}},
		{m: "/m", b: "/b", o: "/m", k: "/k", want: []string{"fallback_dir"}},
		{m: "/o/m", b: "/b", o: "/o", k: "/k", want: []string{"fallback_dir"}},
		{m: "/m", b: "/b", o: "/b/o", k: "/k", want: []string{"fallback_dir"}},
		{m: "/x/m", b: "/x/m", l: "/x/m", k: "/k", want: []string{"dir.path", "local_dir", "local_dir"}},
	}
	for _, test := range tests {
		cfg := validConfig()
		cfg.Mountpoint, cfg.Dir.Path, cfg.LocalDir, cfg.Encryption.MasterKey.Path = test.m, test.b, test.l, test.k
		cfg.FallbackDir = test.o
		if got := faultKeys(cfg.Validate(noEnvironment)); !slices.Equal(got, test.want) {
			t.Errorf("%+v: got %q", test, got)
		}
	}
}

func TestSymbolicLinksAreSeenThrough(t *testing.T) {
	root := t.TempDir()
	mustMkdir(t, filepath.Join(root, "real/inner"))
	mustSymlink(t, filepath.Join(root, "real"), filepath.Join(root, "link"))
	mustSymlink(t, "/", filepath.Join(root, "real/out"))
	tests := []struct{ mountpoint, bucket string }{
		{"real", "link"},                 // the same by another name
		{"real", "link/new/deep"},        // inside, and not made yet
		{"link/new", "real/new"},         // the same once made
		{"link/inner", "real"},           // around
		{"link", "real/out/srv"},         // reached through the mount
		{"link", "link/out/srv"},         // the same
		{"real", "real/out/nonexistent"}, // the same
	}
	for _, test := range tests {
		cfg := validConfig()
		cfg.Mountpoint = filepath.Join(root, test.mountpoint)
		cfg.Dir.Path = filepath.Join(root, test.bucket)
		if got := faultKeys(cfg.Validate(noEnvironment)); !slices.Equal(got, []string{"dir.path"}) {
			t.Errorf("%+v: got %q", test, got)
		}
	}
	cfg := validConfig()
	cfg.Mountpoint, cfg.Dir.Path = filepath.Join(root, "link/inner"), filepath.Join(root, "real/other")
	if err := cfg.Validate(noEnvironment); err != nil {
		t.Errorf("siblings behind a link: %v", err)
	}
}

func validConfig() Config {
	cfg := defaultConfig()
	cfg.Backend = "dir"
	cfg.Dir.Path = "/srv/bucket"
	cfg.Encryption.MasterKey = KeyFile{ID: new(int64(1)), Path: "/etc/keys/1.key"}
	return cfg
}

func faultKeys(err error) (keys []string) {
	for _, err := range separate(err) {
		keys = append(keys, err.(*configError).key)
	}
	return keys
}

func mustMkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func mustSymlink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
}
