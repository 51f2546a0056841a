package e2e_test

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/cmd/internal/lab"
)

// Fields of an A1 envelope.
const (
	nonceAt, dataKeyAt, headerEnd = 6, 38, 70
)

// TestLogsHoldNoSecrets makes a daemon that logs all it can, its SDKs included,
// do everything it does, and looks for every secret it has had in its hands.
func TestLogsHoldNoSecrets(t *testing.T) {
	t.Setenv("AZURE_SDK_GO_LOGGING", "all")
	t.Setenv("GOOGLE_SDK_GO_LOGGING_LEVEL", "debug")
	backends := clouds()
	backends["dir"] = nil
	for backend, start := range backends {
		t.Run(backend, func(t *testing.T) {
			ctx, site := newSite(t)
			if start != nil {
				c := start(t)
				if err := site.Use(16, c.backend, c.settings, cmp.Or(c.objects, t.TempDir())); err != nil {
					t.Fatal(err)
				}
			}
			configure(t, site, "[log]\nlevel = \"debug\"")
			daemon := mustMount(t, ctx, site)
			useEverything(t, site)
			secrets := secretsOf(t, site)
			if err := daemon.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			if err := daemon.Await(ctx, "nothing has changed"); err != nil {
				t.Fatal(err)
			}
			if err := daemon.Stop(ctx); err != nil {
				t.Error(err)
			}
			check, _ := command(t, ctx, site, "check")
			for what := range secrets {
				if found := findSecret(daemon.Log.String()+check, secrets[what]); found != "" {
					t.Errorf("%s is in the log, as %s", what, found)
				}
			}
		})
	}
}

// wantHardened sees that a daemon of a user without rights leaves no core dump,
// and that no other process of that user can look into it: the kernel then gives
// what is in /proc of it to root (proc(5)).
func wantHardened(t *testing.T, pid int) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d", pid)
	limits, err := os.ReadFile(proc + "/limits")
	if err != nil || !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("core dumps are possible, error %v:\n%s", err, limits)
	}
	info, err := os.Stat(proc + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
		t.Errorf("%s belongs to %d, and so the daemon's memory can be read", proc, owner)
	}
}

// useEverything stores, reads and deletes, and meets failures.
func useEverything(t *testing.T, site *lab.Site) {
	t.Helper()
	for i := range 8 {
		path := filepath.Join(site.Mountpoint(), strings.Replace(attachment, "6666", fmt.Sprintf("%04d", i), 1))
		storeFile(t, path, strings.Repeat("x", 1000*i))
		if _, err := os.ReadFile(path); err != nil {
			t.Error(err)
		}
		if i%2 == 1 {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := os.ReadFile(filepath.Join(site.Mountpoint(), attachment)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	damaged := strings.Replace(attachment, "6666", "0006", 1)
	object := site.Bucket().Path(damaged)
	if _, err := os.Stat(object); err != nil {
		return // the server does not keep objects as files
	}
	if err := flip(object, headerEnd); err != nil {
		t.Fatal(err)
	}
}

// secretsOf returns what must not be in any log: the master key, the mask made
// of it, nonce and data key of every object that is a file, and credentials.
func secretsOf(t *testing.T, site *lab.Site) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(site.Key())
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	mask := make([]byte, 32)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(mask, mask)
	secrets := map[string][]byte{
		"master key": key, "mask": mask,
		"S3 secret":         []byte("test-secret-key"),
		"Azure account key": []byte(server.AzuriteKey),
	}
	_ = filepath.WalkDir(site.Bucket().Dir, func(path string, d fs.DirEntry, err error) error {
		if sealed, err := os.ReadFile(path); err == nil && bytes.HasPrefix(sealed, []byte("A1")) && len(sealed) > headerEnd {
			secrets["nonce of "+d.Name()] = xor(sealed[nonceAt:dataKeyAt], mask)
			secrets["data key of "+d.Name()] = xor(sealed[dataKeyAt:headerEnd], mask)
		}
		return nil
	})
	return secrets
}

func xor(a, b []byte) []byte {
	x := make([]byte, len(b))
	subtle.XORBytes(x, a, b)
	return x
}

// encodings are the ways in which bytes get into a log.
func encodings(secret []byte) map[string]string {
	return map[string]string{
		"itself":         string(secret),
		"quoted":         strings.Trim(fmt.Sprintf("%q", secret), `"`),
		"hex":            hex.EncodeToString(secret),
		"upper-case hex": strings.ToUpper(hex.EncodeToString(secret)),
		"base64":         base64.RawStdEncoding.EncodeToString(secret),
		"base64 of URLs": base64.RawURLEncoding.EncodeToString(secret),
		"numbers":        strings.Trim(fmt.Sprint(secret), "[]"),
		"Go's bytes":     strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte{"), "}"),
	}
}

// findSecret returns the encoding in which secret is in text.
func findSecret(text string, secret []byte) string {
	for name, encoded := range encodings(secret) {
		if strings.Contains(text, encoded) {
			return name
		}
	}
	return ""
}

// The search finds what is planted.
func TestFindSecret(t *testing.T) {
	secret := []byte("\x00\x01secret?>bytes\xff\xfe\xfd")
	for name, encoded := range encodings(secret) {
		if found := findSecret("level=INFO key="+encoded+" size=1", secret); found == "" {
			t.Errorf("%s is not found", name)
		}
	}
	if found := findSecret("level=INFO key=ab size=1", secret); found != "" {
		t.Errorf("found as %s", found)
	}
}
