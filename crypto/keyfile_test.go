package crypto

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func writeKeyFile(t *testing.T, text string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadKeyFileTakesSurroundingWhiteSpace(t *testing.T) {
	text := base64.StdEncoding.EncodeToString(keyBytes(1))
	want := testKey(t, 3, 1).Fingerprint()
	for _, content := range []string{text, text + "\n", text + "\r\n", " \t\r\n" + text + "\n\n  ",
		text + strings.Repeat("\n", 4096-len(text))} {
		k, err := ReadKeyFile(3, writeKeyFile(t, content, 0o600))
		if err != nil || k.ID() != 3 || k.Fingerprint() != want {
			t.Errorf("%q: key %d %s, %v; want 3 %s", content, k.ID(), k.Fingerprint(), err, want)
		}
	}
}

func TestReadKeyFileRefusesContent(t *testing.T) {
	key := keyBytes(0xe7) // its base64 text has both "+" and "/"
	text := base64.StdEncoding.EncodeToString(key)
	if !strings.Contains(text, "+") || !strings.Contains(text, "/") {
		t.Fatalf("%s does not tell the alphabets apart", text)
	}
	for name, content := range map[string]string{
		"empty":                      "",
		"white space":                " \n",
		"31 bytes":                   base64.StdEncoding.EncodeToString(key[:31]),
		"33 bytes":                   base64.StdEncoding.EncodeToString(append(keyBytes(1), 1)),
		"16 bytes":                   base64.StdEncoding.EncodeToString(key[:16]),
		"64 bytes":                   base64.StdEncoding.EncodeToString(append(keyBytes(1), keyBytes(2)...)),
		"raw bytes":                  string(key),
		"hex":                        hex.EncodeToString(key),
		"URL alphabet":               base64.URLEncoding.EncodeToString(key),
		"no padding":                 base64.RawStdEncoding.EncodeToString(key),
		"bits after the last byte":   text[:42] + string(text[42]+1) + "=",
		"line break inside":          text[:20] + "\n" + text[20:],
		"line break before padding":  text[:43] + "\r\n" + text[43:],
		"44 bytes with line breaks":  text[:20] + "\n\n\n\n" + text[20:36] + text[40:],
		"blank inside":               text[:20] + " " + text[20:],
		"two keys":                   text + "\n" + text,
		"text after it":              text + "\n# master key",
		"text before it":             "key: " + text,
		"NUL after it":               text + "\x00",
		"byte order mark":            "\ufeff" + text,
		"quotes":                     `"` + text + `"`,
		"zero bytes":                 base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"more than a key file holds": text + strings.Repeat("\n", 4097-len(text)),
	} {
		t.Run(name, func(t *testing.T) {
			path := writeKeyFile(t, content, 0o600)
			k, err := ReadKeyFile(3, path)
			if err == nil || k != (MasterKey{}) {
				t.Fatalf("took it as %v", k)
			}
			if strings.Contains(err.Error(), path) {
				t.Errorf("%q repeats what was given as the path", err)
			}
			for _, part := range []string{text[:8], text[30:38], string(key[:4]), hex.EncodeToString(key[:4])} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("%q tells of the key", err)
				}
			}
		})
	}
}

func TestReadKeyFileRefusesPermissions(t *testing.T) {
	text := base64.StdEncoding.EncodeToString(keyBytes(1))
	for bit := range 6 {
		mode := fs.FileMode(0o600 | 1<<bit)
		path := writeKeyFile(t, text, mode)
		_, err := ReadKeyFile(3, path)
		if err == nil {
			t.Errorf("%04o: took it", mode)
			continue
		}
		for _, s := range []string{fmt.Sprintf("%04o", mode), "chmod 600"} {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%04o: %q does not say %q", mode, err, s)
			}
		}
	}
	for _, mode := range []fs.FileMode{0o400, 0o600, 0o700} {
		if _, err := ReadKeyFile(3, writeKeyFile(t, text, mode)); err != nil {
			t.Errorf("%04o: %v", mode, err)
		}
	}
}

func TestReadKeyFileRefusesWhatIsNoRegularFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(dir, "directory")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, private, os.DevNull} {
		if _, err := ReadKeyFile(3, path); err == nil || !strings.HasPrefix(err.Error(), "it is no regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestReadKeyFileMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing.key")
	_, err := ReadKeyFile(3, path)
	if !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), path) {
		t.Errorf("%v; want ErrNotExist without the path, which may be the key", err)
	}
}

func TestReadKeyFileFollowsLinks(t *testing.T) {
	path := writeKeyFile(t, base64.StdEncoding.EncodeToString(keyBytes(1)), 0o600)
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKeyFile(3, link); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKeyFile(3, link); err == nil {
		t.Error("took a link to a file that the group can read")
	}
}

func TestGenerateKeyFile(t *testing.T) {
	seen := make(map[string]bool)
	for _, umask := range []int{0, 0o022, 0o777} {
		path := filepath.Join(t.TempDir(), "new.key")
		previous := syscall.Umask(umask)
		err := GenerateKeyFile(path)
		syscall.Umask(previous)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("umask %03o: mode %v; want 0600", umask, info.Mode())
		}
		k, err := ReadKeyFile(3, path)
		if err != nil {
			t.Fatal(err)
		}
		if seen[k.Fingerprint()] {
			t.Error("made the same key twice")
		}
		seen[k.Fingerprint()] = true
	}
}

func TestGenerateKeyFileNeverOverwrites(t *testing.T) {
	existing := writeKeyFile(t, "precious", 0o600)
	dangling := existing + ".link"
	if err := os.Symlink(existing+".target", dangling); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{existing, dangling, t.TempDir()} {
		if err := GenerateKeyFile(path); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want ErrExist and the path", path, err)
		}
	}
	if got := string(readFile(t, existing)); got != "precious" {
		t.Errorf("the file now has %q", got)
	}
	if _, err := os.Lstat(existing + ".target"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("created a file through a link: %v", err)
	}
}

func TestGenerateKeyFileCannotCreate(t *testing.T) {
	for _, tt := range []struct {
		name string
		want error
	}{
		{"missing/new.key", syscall.ENOENT},
		{strings.Repeat("n", 256), syscall.ENAMETOOLONG},
	} {
		path := filepath.Join(t.TempDir(), tt.name)
		if err := GenerateKeyFile(path); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v; want %v and the path", err, tt.want)
		}
	}
}

// A limit on file sizes stands in for a full disk: the write ends in the middle
// of the key. The limit is for a whole process, so the test runs itself as one.
func TestGenerateKeyFileRemovesHalfWrittenFile(t *testing.T) {
	const variable = "GENERATE_KEY_FILE_PATH"
	if path := os.Getenv(variable); path != "" {
		err := withFileSizeLimit(t, 20, func() error { return GenerateKeyFile(path) })
		if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v; want EFBIG and the path", err)
		}
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), variable+"="+filepath.Join(dir, "new.key"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// withFileSizeLimit calls f while no file can grow beyond size bytes.
func withFileSizeLimit(t *testing.T, size uint64, f func() error) error {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	during := syscall.Rlimit{Cur: size, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &during); err != nil {
		t.Fatal(err)
	}
	result := f()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	return result
}
