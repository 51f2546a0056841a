package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orthanc-bucketfs/crypto"
)

// reloading is a reloader with keys 1 to 3 on disk.
type reloading struct {
	*testing.T
	*reloader
	dir, file string
	out       bytes.Buffer
}

const oneKey = "master_key = { id = 1, path = 'DIR/1.key' }"

func newReloading(t *testing.T) *reloading {
	t.Helper()
	r := &reloading{T: t, dir: t.TempDir()}
	for id := 1; id <= 3; id++ {
		if err := crypto.GenerateKeyFile(filepath.Join(r.dir, fmt.Sprintf("%d.key", id))); err != nil {
			t.Fatal(err)
		}
	}
	r.file = filepath.Join(r.dir, "config.toml")
	level := new(slog.LevelVar)
	log := newLogger(&r.out, Log{Level: "info", Format: "text"}, level, false)
	r.reloader = &reloader{load: func() (Config, error) { return loadConfig(r.file, noEnvironment) }, log: log, level: level, keys: new(keys)}
	r.write("", oneKey)
	cfg, err := loadConfig(r.file, noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	r.cfg = cfg
	ring, err := cfg.keyRing()
	if err != nil {
		t.Fatal(err)
	}
	r.keys.Store(ring)
	return r
}

func (r *reloading) write(top, encryption string) {
	r.Helper()
	text := fmt.Sprintf("backend = 'dir'\ndir.path = '/srv/bucket'\n%s\n[encryption]\n%s\n", top, strings.ReplaceAll(encryption, "DIR", r.dir))
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

func (r *reloading) ids() string {
	var ids []uint32
	for _, k := range r.keys.Load().Keys() {
		ids = append(ids, k.ID())
	}
	return fmt.Sprint(ids)
}

// reloaded changes the file, reloads, and wants words in the log.
func (r *reloading) reloaded(top, encryption string, words ...string) {
	r.Helper()
	r.write(top, encryption)
	r.out.Reset()
	r.reload()
	for _, word := range words {
		if !strings.Contains(r.out.String(), word) {
			r.Errorf("the log does not say %q:\n%s", word, &r.out)
		}
	}
}

func TestReloadTakesANewKey(t *testing.T) {
	r := newReloading(t)
	r.reloaded("", oneKey, "nothing has changed")
	r.reloaded("", "master_key = { id = 2, path = 'DIR/2.key' }\nprevious_master_keys = [ { id = 1, path = 'DIR/1.key' } ]",
		"keys changed", "seals with key 2")
	if got := r.ids(); got != "[2 1]" {
		t.Errorf("the ring has %s", got)
	}
	r.reloaded("", "master_key = { id = 2, path = 'DIR/2.key' }", "level=WARN", "a key is gone", "id=1")
	if got := r.ids(); got != "[2]" {
		t.Errorf("the ring has %s", got)
	}
}

// A file that is wrong in one place changes nothing in another.
func TestReloadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ top, encryption, word string }{
		"syntax":           {"log.level = debug", oneKey, "not valid TOML"},
		"unknown key":      {"color = 1\nlog.level = 'debug'", oneKey, "color"},
		"missing key file": {"log.level = 'debug'", "master_key = { id = 2, path = 'DIR/none.key' }", "none.key"},
		"id of another":    {"log.level = 'debug'", "master_key = { id = 1, path = 'DIR/3.key' }", "now stands for another key"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReloading(t)
			before := r.keys.Load()
			r.reloaded(c.top, c.encryption, "level=ERROR", "everything stays as it is", c.word)
			if r.keys.Load() != before || r.level.Level() != slog.LevelInfo {
				t.Errorf("keys %s, level %v", r.ids(), r.level.Level())
			}
		})
	}
}

func TestReloadChangesTheLevel(t *testing.T) {
	r := newReloading(t)
	r.reloaded("log.level = 'error'", oneKey, "log level changed")
	if r.level.Level() != slog.LevelError {
		t.Errorf("level %v", r.level.Level())
	}
	r.reloaded("log.level = 'debug'", oneKey, "log level changed")
}

func TestReloadTellsWhatNeedsARestart(t *testing.T) {
	r := newReloading(t)
	r.reloaded("read_only = true\ns3.max_retries = 9\nmetrics.listen = '127.0.0.1:9108'", oneKey,
		"level=WARN", `keys="read_only, s3.max_retries, metrics.listen"`)
	r.reloaded("read_only = true", oneKey, "keys=read_only") // still
}
