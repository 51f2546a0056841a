package dir

import (
	"fmt"
	"testing"
)

const benchSize = 512 << 10 // a CT slice

func BenchmarkCreate(b *testing.B) {
	bucket := open(b, b.TempDir())
	body := make([]byte, benchSize)
	b.SetBytes(benchSize)
	i := 0
	for b.Loop() {
		i++
		key := fmt.Sprintf("%02x/%02x/%d", i%256, i/256%256, i)
		if _, err := bucket.Create(b.Context(), key, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	bucket := open(b, b.TempDir())
	p := make([]byte, benchSize)
	obj, err := bucket.Create(b.Context(), "aa/bb/x", p)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchSize)
	for b.Loop() {
		if n, _, err := bucket.Read(b.Context(), obj.Key, obj.Version, p, 0); n != benchSize || err != nil {
			b.Fatal(n, err)
		}
	}
}
