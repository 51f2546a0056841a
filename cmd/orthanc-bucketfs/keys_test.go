package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"orthanc-bucketfs/crypto"
)

// writeKeyFile writes the key that consists of fill, 32 times.
func writeKeyFile(t *testing.T, fill byte, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "master.key")
	text := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, 32))
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestKeyRing(t *testing.T) {
	cfg := validConfig()
	cfg.Encryption.MasterKey = KeyFile{ID: new(int64(1<<32 - 1)), Path: writeKeyFile(t, 'a', 0o600)}
	cfg.Encryption.PreviousMasterKeys = []PreviousKeyFile{
		{KeyFile: KeyFile{ID: new(int64(0)), Path: writeKeyFile(t, 'b', 0o400)}, NotAfter: time.Unix(1e9, 0)},
		{KeyFile: KeyFile{ID: new(int64(7)), Path: writeKeyFile(t, 'c', 0o600)}},
	}
	ring, err := cfg.keyRing()
	if err != nil {
		t.Fatal(err)
	}
	var ids []uint32
	for _, key := range ring.Keys() {
		ids = append(ids, key.ID())
	}
	if want := []uint32{1<<32 - 1, 0, 7}; !slices.Equal(ids, want) || ring.Current().ID() != want[0] {
		t.Errorf("keys %d, current %d; want %d, the first current", ids, ring.Current().ID(), want)
	}
	for i, want := range []time.Time{{}, time.Unix(1e9, 0), {}} {
		if got := ring.Keys()[i].NotAfter(); !got.Equal(want) {
			t.Errorf("key %d ends at %v, want %v", ids[i], got, want)
		}
	}
	for i, fill := range []byte("abc") {
		want, err := crypto.NewMasterKey(ids[i], bytes.Repeat([]byte{fill}, 32))
		if err != nil || ring.Keys()[i].Fingerprint() != want.Fingerprint() {
			t.Errorf("key %d is not the one in its file: %v", ids[i], err)
		}
	}
}

func TestKeyRingNamesEveryBadKey(t *testing.T) {
	good, open, none := writeKeyFile(t, 'a', 0o600), writeKeyFile(t, 'b', 0o640), filepath.Join(t.TempDir(), "none")
	text := "backend = 'dir'\ndir.path = '/srv/bucket'\n[encryption]\nprevious_master_keys = [\n" +
		"{ id = 2, path = '" + open + "' },\n{ id = 3, path = '" + good + "' },\n{ id = 4, path = '" + none + "' },\n]\n" +
		"master_key = { id = 1, path = '" + good + "' }\n"
	cfg, err := loadConfig(writeConfig(t, text), noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := cfg.keyRing()
	want := []string{"5 encryption.previous_master_keys[0].path", "6 encryption.previous_master_keys[1]", "7 encryption.previous_master_keys[2].path"}
	if got := faultList(t, err); ring != nil || !slices.Equal(got, want) {
		t.Errorf("ring %v, faults %q, want %q: %v", ring, got, want, err)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the missing file is no fs.ErrNotExist: %v", err)
	}
	if exitCode(err) != exitUsage {
		t.Errorf("exit code %d", exitCode(err))
	}
}

func TestKeyRingNeedsEncryption(t *testing.T) {
	cfg := validConfig()
	cfg.Encryption.Enable = false
	ring, err := cfg.keyRing()
	if ring != nil || !slices.Equal(faultKeys(err), []string{"encryption.enable"}) {
		t.Errorf("got %v, %v", ring, err)
	}
}
