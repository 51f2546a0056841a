package crypto

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const vectorDir = "testdata/a1-vectors"

// vector is an envelope made by the official plugin's own code.
type vector struct {
	File        string `json:"file"`
	KeyID       uint32 `json:"key_id"`
	KeyFile     string `json:"key_file"`
	PlainSize   int64  `json:"plain_size"`
	PlainSHA256 string `json:"plain_sha256"`

	sealed []byte
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	var index struct {
		Vectors []vector `json:"vectors"`
	}
	if err := json.Unmarshal(readFile(t, filepath.Join(vectorDir, "vectors.json")), &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Vectors) == 0 {
		t.Fatalf("%s lists no vectors", vectorDir)
	}
	for i := range index.Vectors {
		v := &index.Vectors[i]
		v.sealed = readFile(t, filepath.Join(vectorDir, v.File))
	}
	return index.Vectors
}

// vectorRing holds the keys of all vectors.
func vectorRing(t testing.TB, vectors []vector) *KeyRing {
	t.Helper()
	var keys []MasterKey
	for _, v := range vectors {
		if !slices.ContainsFunc(keys, func(k MasterKey) bool { return k.ID() == v.KeyID }) {
			keys = append(keys, vectorKey(t, v.KeyID, v.KeyFile))
		}
	}
	return ringOf(t, keys...)
}

// vectorKey reads a key of the vectors from a private copy: a checked-out file
// has permissions for everyone.
func vectorKey(t testing.TB, id uint32, name string) MasterKey {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, readFile(t, filepath.Join(vectorDir, name)), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := ReadKeyFile(id, path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ringOf(t testing.TB, keys ...MasterKey) *KeyRing {
	t.Helper()
	r, err := NewKeyRing(keys[0], keys[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectorsOpen(t *testing.T) {
	vectors := loadVectors(t)
	ring := vectorRing(t, vectors)
	for _, v := range vectors {
		t.Run(v.File, func(t *testing.T) {
			size, err := PlainSize(int64(len(v.sealed)))
			if err != nil || size != v.PlainSize {
				t.Errorf("PlainSize = %d, %v; want %d", size, err, v.PlainSize)
			}
			id, err := KeyID(v.sealed[:6])
			if err != nil || id != v.KeyID {
				t.Errorf("KeyID = %d, %v; want %d", id, err, v.KeyID)
			}
			plain, err := ring.Open([16]byte{}, v.sealed)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(plain)
			if int64(len(plain)) != v.PlainSize || hex.EncodeToString(sum[:]) != v.PlainSHA256 {
				t.Errorf("%d bytes with SHA-256 %x; want %d with %s", len(plain), sum, v.PlainSize, v.PlainSHA256)
			}
		})
	}
}

func TestVectorsAreAllListed(t *testing.T) {
	var listed []string
	for _, v := range loadVectors(t) {
		listed = append(listed, filepath.Join(vectorDir, v.File))
	}
	found, err := filepath.Glob(filepath.Join(vectorDir, "*.a1"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(listed)
	if !slices.Equal(listed, found) {
		t.Errorf("listed %q, found %q", listed, found)
	}
}

// The id alone chooses the key: having the right key under another id must not
// help.
func TestVectorsKeyIDDecides(t *testing.T) {
	vectors := loadVectors(t)
	for _, v := range vectors {
		t.Run(v.File, func(t *testing.T) {
			const otherID = 77
			right := vectorKey(t, otherID, v.KeyFile)
			_, err := ringOf(t, right).Open([16]byte{}, slices.Clone(v.sealed))
			if !errors.Is(err, ErrUnknownKey) || errors.Is(err, ErrCorrupt) {
				t.Errorf("id not on the ring: %v; want ErrUnknownKey", err)
			}
			wrong := testKey(t, v.KeyID, 9)
			_, err = ringOf(t, wrong, right).Open([16]byte{}, slices.Clone(v.sealed))
			if !errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnknownKey) {
				t.Errorf("another key under the id: %v; want ErrCorrupt", err)
			}
		})
	}
}
