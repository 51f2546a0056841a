package secretfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const secret = "hidden text"

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(write(t, secret, 0o600), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{write(t, secret, 0o600), write(t, secret, 0o400), link} {
		if text, err := Read(path, nil); err != nil || string(text) != secret {
			t.Errorf("got %q, error %v", text, err)
		}
	}
	if text, err := Read(write(t, strings.Repeat("x", maxSize), 0o600), nil); err != nil || len(text) != maxSize {
		t.Errorf("got %d bytes, error %v", len(text), err)
	}
}

func TestReadRefuses(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		write(t, secret, 0o640):               "mode 0640",
		write(t, secret, 0o604):               "mode 0604",
		write(t, secret, 0o610):               "mode 0610",
		t.TempDir():                           "regular file",
		pipe:                                  "regular file",
		"/dev/null":                           "regular file",
		filepath.Join(t.TempDir(), "missing"): "no such file",
		write(t, strings.Repeat(secret, maxSize), 0o600): "too large",
	} {
		text, err := Read(path, nil)
		if err == nil || text != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, error %v, want one that tells of %s", path, text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells the secret: %v", path, err)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "missing"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got error %v", err)
	}
}
