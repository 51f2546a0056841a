package crypto

import (
	"bytes"
	"encoding/base64"
	"errors"
	"path/filepath"
	"slices"
	"testing"
)

// corpus returns the files that match pattern, and fails if there are none: a
// fuzz target without seeds tests nothing in an ordinary run, and says so
// nowhere.
func corpus(f *testing.F, pattern string) [][]byte {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join(vectorDir, pattern))
	if err != nil {
		f.Fatal(err)
	}
	if len(paths) == 0 {
		f.Fatalf("no seeds: nothing matches %s in %s", pattern, vectorDir)
	}
	var seeds [][]byte
	for _, path := range paths {
		seeds = append(seeds, readFile(f, path))
	}
	return seeds
}

// What parses encodes to the same bytes again.
func FuzzHeader(f *testing.F) {
	for _, seed := range corpus(f, "*.a1") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseHeader(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v; want ErrCorrupt", err)
			}
			return
		}
		again := randomBytes(HeaderSize)
		h.put(again)
		if !bytes.Equal(again, data[:HeaderSize]) {
			t.Fatalf("encoded to\n% x, parsed from\n% x", again, data[:HeaderSize])
		}
	})
}

// Open accepts what was sealed and nothing else.
func FuzzOpen(f *testing.F) {
	genuine := make(map[string]bool)
	for _, seed := range corpus(f, "*.a1") {
		genuine[string(seed)] = true
		f.Add(seed)
	}
	ring := vectorRing(f, loadVectors(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		buf := slices.Clone(data)
		plain, err := ring.Open(fileA, buf)
		if err == nil {
			if !genuine[string(data)] || len(plain) != len(data)-Overhead {
				t.Fatal("opened what nobody has sealed")
			}
			return
		}
		if genuine[string(data)] {
			t.Fatal(err)
		}
		if plain != nil || errors.Is(err, ErrCorrupt) == errors.Is(err, ErrUnknownKey) {
			t.Fatalf("%d bytes, %v; want none, and ErrCorrupt or ErrUnknownKey", len(plain), err)
		}
		if !bytes.Equal(buf, data) && !isZero(buf[HeaderSize:]) {
			t.Fatal("left something else than the envelope or zeros")
		}
	})
}

// Whatever is sealed opens to the same bytes, and with one bit changed anywhere
// does not open.
func FuzzSealOpen(f *testing.F) {
	for i, seed := range corpus(f, "*.a1") {
		f.Add(seed, uint(i))
	}
	ring := ringOf(f, testKey(f, 0, 1), testKey(f, 1, 2))
	f.Fuzz(func(t *testing.T, plain []byte, at uint) {
		sealed := seal(t, ring, plain)
		bad := slices.Clone(sealed)
		bit := at % uint(8*len(bad))
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := ring.Open(fileA, bad); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("bit %d changed: %v", bit, err)
		}
		got, err := ring.Open(fileA, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes, %v; want the %d that were sealed", len(got), err, len(plain))
		}
	})
}

// A key file has one spelling of its key and white space.
func FuzzDecodeKey(f *testing.F) {
	for _, seed := range corpus(f, "*.key") {
		f.Add(seed)
	}
	// Both have the 44 characters of a key.
	f.Add([]byte(base64.StdEncoding.EncodeToString(make([]byte, 31))))
	f.Add([]byte(base64.StdEncoding.EncodeToString(make([]byte, 33))))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := decodeKey(text)
		if err != nil {
			return
		}
		again := base64.StdEncoding.EncodeToString(key)
		if len(key) != 32 || again != string(bytes.TrimSpace(text)) {
			t.Fatalf("%q decoded to the %d bytes of %q", text, len(key), again)
		}
	})
}
