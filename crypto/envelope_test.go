package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
)

var (
	fileA = [16]byte{0xaa, 1}
	fileB = [16]byte{0xbb, 2}
)

// sizes has the plaintext sizes around the limits of blocks, of the groups of
// blocks the assembly works in, and of the pieces Orthanc writes.
var sizes = []int{0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128, 129, 143, 144, 145,
	255, 256, 257, 4095, 4096, 4097, 8191, 8192, 65535, 65536, 65537, 1<<20 - 1, 1 << 20, 1<<20 + 1}

// keyBytes returns 32 bytes that differ for every seed.
func keyBytes(seed byte) []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = seed + byte(7*i)
	}
	return key
}

func testKey(t testing.TB, id uint32, seed byte) MasterKey {
	t.Helper()
	k, err := NewMasterKey(id, keyBytes(seed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// unsealed returns a buffer for Seal, with noise where Seal has to write.
func unsealed(plain []byte) []byte {
	return slices.Concat(randomBytes(70), plain, randomBytes(16))
}

func seal(t testing.TB, ring *KeyRing, plain []byte) []byte {
	t.Helper()
	buf := unsealed(plain)
	if err := ring.Seal(fileA, buf); err != nil {
		t.Fatal(err)
	}
	return buf
}

// reference is what an envelope holds.
type reference struct{ nonce, key, plain []byte }

// referenceOpen opens an envelope from the description of the format alone,
// with nothing of this package.
func referenceOpen(t testing.TB, master, sealed []byte) reference {
	t.Helper()
	masterBlock, err := aes.NewCipher(master)
	if err != nil {
		t.Fatal(err)
	}
	mask := make([]byte, 32)
	cipher.NewCTR(masterBlock, make([]byte, 16)).XORKeyStream(mask, mask)
	ref := reference{nonce: make([]byte, 32), key: make([]byte, 32)}
	for i := range mask {
		ref.nonce[i] = sealed[6+i] ^ mask[i]
		ref.key[i] = sealed[38+i] ^ mask[i]
	}
	block, err := aes.NewCipher(ref.key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithNonceSize(block, 32)
	if err != nil {
		t.Fatal(err)
	}
	if ref.plain, err = aead.Open(nil, ref.nonce, sealed[70:], sealed[:70]); err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestSealMatchesReference(t *testing.T) {
	const id = 0x01020304
	ring := ringOf(t, testKey(t, id, 1), testKey(t, 5, 2))
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			plain := randomBytes(size)
			sealed := seal(t, ring, plain)
			if want := []byte("A1\x04\x03\x02\x01"); !bytes.Equal(sealed[:6], want) {
				t.Errorf("begins with % x; want % x", sealed[:6], want)
			}
			if size >= 16 && bytes.Contains(sealed, plain[:16]) {
				t.Error("the envelope holds plaintext")
			}
			if ref := referenceOpen(t, keyBytes(1), sealed); !bytes.Equal(ref.plain, plain) {
				t.Error("the reference opens it to something else")
			}
		})
	}
}

func TestSealOpenInPlace(t *testing.T) {
	ring := ringOf(t, testKey(t, 3, 1))
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			plain := randomBytes(size)
			arena := slices.Concat([]byte("front"), unsealed(plain), []byte("back"))
			buf := arena[len("front") : len(arena)-len("back")]
			if err := ring.Seal(fileA, buf); err != nil {
				t.Fatal(err)
			}
			got, err := ring.Open(fileA, buf)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, plain) {
				t.Error("opened to something else")
			}
			if size > 0 && &got[0] != &buf[70] {
				t.Error("the plaintext is not where it was sealed")
			}
			if cap(got) != size {
				t.Errorf("capacity %d lets append run into the tag; want %d", cap(got), size)
			}
			if !bytes.HasPrefix(arena, []byte("front")) || !bytes.HasSuffix(arena, []byte("back")) {
				t.Error("wrote outside of the buffer")
			}
		})
	}
}

// With a known random stream the nonce and the key have to be its bytes, all 64
// of them, and nothing else may change the envelope.
func TestSealTakesNonceAndKeyFromCryptoRand(t *testing.T) {
	ring := ringOf(t, testKey(t, 3, 1))
	plain := []byte("plaintext")
	cryptotest.SetGlobalRandom(t, 42)
	nonce, key := randomBytes(32), randomBytes(32)

	var envelopes [][]byte
	for _, noise := range []byte{0x00, 0xff} {
		buf := bytes.Repeat([]byte{noise}, len(plain)+86)
		copy(buf[70:], plain)
		cryptotest.SetGlobalRandom(t, 42)
		if err := ring.Seal(fileA, buf); err != nil {
			t.Fatal(err)
		}
		ref := referenceOpen(t, keyBytes(1), buf)
		if !bytes.Equal(ref.nonce, nonce) || !bytes.Equal(ref.key, key) {
			t.Error("nonce and key are not what crypto/rand gave")
		}
		envelopes = append(envelopes, buf)
	}
	if !bytes.Equal(envelopes[0], envelopes[1]) {
		t.Error("what was in the headroom or tailroom shows in the envelope")
	}
}

func TestSealNeverRepeatsNonceOrKey(t *testing.T) {
	ring := ringOf(t, testKey(t, 3, 1))
	seen := make(map[string]bool)
	for range 500 {
		ref := referenceOpen(t, keyBytes(1), seal(t, ring, []byte("always the same")))
		for _, secret := range [][]byte{ref.nonce, ref.key} {
			if seen[string(secret)] {
				t.Fatal("a nonce or a key came twice")
			}
			seen[string(secret)] = true
		}
	}
}

func TestSealRefusesBufferWithoutRoom(t *testing.T) {
	ring := ringOf(t, testKey(t, 3, 1))
	for n := range 86 {
		buf := randomBytes(n)
		before := slices.Clone(buf)
		if err := ring.Seal(fileA, buf); err == nil || errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes: %v; want an error that is not ErrCorrupt", n, err)
		}
		if !bytes.Equal(buf, before) {
			t.Errorf("%d bytes: changed", n)
		}
	}
}

// wantRefusal opens a copy of sealed, and demands the given error and that no
// plaintext is left.
func wantRefusal(t *testing.T, ring *KeyRing, sealed []byte, want error, what string) {
	t.Helper()
	buf := slices.Clone(sealed)
	plain, err := ring.Open(fileA, buf)
	if plain != nil || !errors.Is(err, want) {
		t.Errorf("%s: %d bytes, %v; want %v", what, len(plain), err, want)
	}
	untouched := bytes.Equal(buf, sealed)
	wiped := len(buf) > 70 && bytes.Equal(buf[:70], sealed[:70]) && isZero(buf[70:])
	if !untouched && !wiped {
		t.Errorf("%s: left something else than the envelope or zeros", what)
	}
}

func isZero(b []byte) bool { return bytes.Equal(b, make([]byte, len(b))) }

func TestOpenRefusesEveryFlippedBit(t *testing.T) {
	// 0x0102 and its neighbours by one bit: only 0x0103 is on the ring.
	ring := ringOf(t, testKey(t, 0x0102, 1), testKey(t, 0x0103, 2))
	for _, size := range []int{0, 1, 16, 33} {
		sealed := seal(t, ring, randomBytes(size))
		for i := range sealed {
			for bit := range 8 {
				bad := slices.Clone(sealed)
				bad[i] ^= 1 << bit
				want := ErrCorrupt
				if i >= 2 && i < 6 && binary.LittleEndian.Uint32(bad[2:]) != 0x0103 {
					want = ErrUnknownKey
				}
				wantRefusal(t, ring, bad, want, fmt.Sprintf("size %d, byte %d, bit %d", size, i, bit))
			}
		}
	}
}

func TestOpenRefusesOtherLengths(t *testing.T) {
	ring := ringOf(t, testKey(t, 3, 1))
	for _, size := range []int{0, 1, 33} {
		sealed := seal(t, ring, randomBytes(size))
		for n := range sealed {
			wantRefusal(t, ring, sealed[:n], ErrCorrupt, fmt.Sprintf("first %d of %d bytes", n, len(sealed)))
			wantRefusal(t, ring, sealed[n+1:], ErrCorrupt, fmt.Sprintf("without the first %d bytes", n+1))
		}
		for n := range 17 {
			longer := slices.Concat(sealed, make([]byte, n+1))
			wantRefusal(t, ring, longer, ErrCorrupt, fmt.Sprintf("%d bytes more", n+1))
		}
	}
	wantRefusal(t, ring, nil, ErrCorrupt, "nil")
}

func TestOpenRefusesForeignMagic(t *testing.T) {
	ring := ringOf(t, testKey(t, 3, 1))
	sealed := seal(t, ring, randomBytes(100))
	for _, magic := range []string{"A0", "A2", "B1", "1A", "a1", "\x00\x00", "DI"} {
		wantRefusal(t, ring, slices.Concat([]byte(magic), sealed[2:]), ErrCorrupt, magic)
	}
	dicom := make([]byte, 400)
	copy(dicom[128:], "DICM")
	wantRefusal(t, ring, dicom, ErrCorrupt, "plain DICOM")
}

func TestOpenRefusesForeignHeader(t *testing.T) {
	ring := ringOf(t, testKey(t, 3, 1))
	a, b := seal(t, ring, randomBytes(50)), seal(t, ring, randomBytes(50))
	wantRefusal(t, ring, slices.Concat(a[:70], b[70:]), ErrCorrupt, "header of another envelope")
}

func TestErrorsTellTheKeyID(t *testing.T) {
	sealed := seal(t, ringOf(t, testKey(t, 123456, 1)), []byte("x"))
	_, err := ringOf(t, testKey(t, 3, 1)).Open(fileA, slices.Clone(sealed))
	if !errors.Is(err, ErrUnknownKey) || !bytes.Contains([]byte(err.Error()), []byte("123456")) {
		t.Errorf("unknown key: %v", err)
	}
	_, err = ringOf(t, testKey(t, 123456, 2)).Open(fileA, sealed)
	if !errors.Is(err, ErrCorrupt) || !bytes.Contains([]byte(err.Error()), []byte("123456")) {
		t.Errorf("wrong key: %v", err)
	}
	if id, err := KeyID(sealed); id != 123456 || err != nil {
		t.Errorf("KeyID after a failed Open = %d, %v", id, err)
	}
}

// This is a limit of A1 that the package comment states: the envelope opens
// under any name.
func TestNameIsNotBound(t *testing.T) {
	ring := ringOf(t, testKey(t, 3, 1))
	plain, err := ring.Open(fileB, seal(t, ring, []byte("sealed as A")))
	if err != nil || string(plain) != "sealed as A" {
		t.Errorf("%q, %v", plain, err)
	}
}

func TestPlainSize(t *testing.T) {
	const most = (1<<32-2)*16 + 86
	for _, tt := range []struct{ sealed, plain int64 }{{86, 0}, {87, 1}, {1086, 1000}, {most, most - 86}} {
		if got, err := PlainSize(tt.sealed); got != tt.plain || err != nil {
			t.Errorf("PlainSize(%d) = %d, %v; want %d", tt.sealed, got, err, tt.plain)
		}
	}
	for _, sealed := range []int64{85, 16, 1, 0, -1, math.MinInt64, most + 1, math.MaxInt64} {
		if got, err := PlainSize(sealed); got != 0 || !errors.Is(err, ErrCorrupt) {
			t.Errorf("PlainSize(%d) = %d, %v; want ErrCorrupt", sealed, got, err)
		}
	}
}

func TestKeyIDRefuses(t *testing.T) {
	for _, header := range []string{"", "A", "A1", "A1\x01\x00\x00", "A2\x01\x00\x00\x00", "a1\x01\x00\x00\x00"} {
		if id, err := KeyID([]byte(header)); id != 0 || !errors.Is(err, ErrCorrupt) {
			t.Errorf("KeyID(%q) = %d, %v; want ErrCorrupt", header, id, err)
		}
	}
}

func TestRingIsSafeForConcurrentUse(t *testing.T) {
	ring := ringOf(t, testKey(t, 3, 1), testKey(t, 4, 2))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for size := range 50 {
				plain := randomBytes(size)
				buf := unsealed(plain)
				if err := ring.Seal(fileA, buf); err != nil {
					t.Error(err)
				}
				if got, err := ring.Open(fileA, buf); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNothingFileSizedIsAllocated(t *testing.T) {
	const size, mostCalls, mostBytes = 16 << 20, 8, 8 << 10
	ring := ringOf(t, testKey(t, 3, 1))
	buf := make([]byte, size+Overhead)
	roundTrip := func() {
		if err := ring.Seal(fileA, buf); err != nil {
			t.Fatal(err)
		}
		if _, err := ring.Open(fileA, buf); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(3, roundTrip); n > mostCalls {
		t.Errorf("%v allocations to seal and open; want at most %d", n, mostCalls)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	roundTrip()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > mostBytes {
		t.Errorf("%d bytes allocated to seal and open %d bytes; want at most %d", n, size, mostBytes)
	}
}
