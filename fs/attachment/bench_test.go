package attachment

import "testing"

const benchSize = 512 << 10 // of a CT image

// BenchmarkWrite is the writes of one file, as Orthanc makes them.
func BenchmarkWrite(b *testing.B) {
	r := newRig(b, Sealed(testRing(b, 1)))
	piece := testContent(4096, 1)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		w := r.Create(testUUID(1))
		for off := 0; off < benchSize; off += len(piece) {
			if err := w.WriteAt(b.Context(), piece, int64(off)); err != nil {
				b.Fatal(err)
			}
		}
		w.Discard()
	}
}

// BenchmarkOpen looks at an attachment and opens it, with nothing kept.
func BenchmarkOpen(b *testing.B) {
	r := newRig(b, Sealed(testRing(b, 1)))
	store(b, r, testUUID(1), testContent(benchSize, 1))
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		r.shelf.forget(testUUID(1))
		info, err := r.Stat(b.Context(), testUUID(1))
		if err != nil {
			b.Fatal(err)
		}
		f, err := r.Open(b.Context(), info)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
