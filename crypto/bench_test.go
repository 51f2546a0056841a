package crypto

import (
	"fmt"
	"slices"
	"testing"
)

var benchSizes = []int{4 << 10, 512 << 10, 16 << 20}

func BenchmarkSeal(b *testing.B) {
	ring := ringOf(b, testKey(b, 3, 1))
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			buf := unsealed(randomBytes(size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := ring.Seal(fileA, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Open destroys its input, so each round opens a fresh copy, made off the clock.
func BenchmarkOpen(b *testing.B) {
	ring := ringOf(b, testKey(b, 3, 1))
	for _, size := range benchSizes {
		sealed := seal(b, ring, randomBytes(size))
		buf := slices.Clone(sealed)
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				copy(buf, sealed)
				b.StartTimer()
				if _, err := ring.Open(fileA, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
