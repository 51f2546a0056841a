package fs

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"orthanc-bucketfs/backends/backendtest"
)

// benchSize is that of a CT image.
const benchSize = 512 << 10

// BenchmarkStore stores as Orthanc does, on a bucket in memory.
func BenchmarkStore(b *testing.B) {
	for name, mode := range map[string]mode{"gathered": gathered, "direct": func(*setting) {}} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, mode, remembering)
			content := testContent(benchSize, 1)
			b.SetBytes(benchSize)
			for b.Loop() {
				os.Stat(r.path(1))
				mustStore(b, r.path(1), content)
				b.StopTimer()
				os.Remove(r.path(1))
				b.StartTimer()
			}
		})
	}
}

// BenchmarkColdRead reads what neither the kernel nor the daemon has in memory.
func BenchmarkColdRead(b *testing.B) {
	const files = 64
	mem := backendtest.NewMem()
	store := newRig(b, func(s *setting) { s.on = mem })
	for n := range files {
		mustStore(b, store.path(n), testContent(benchSize, uint64(n)))
	}
	buf := make([]byte, benchSize)
	b.SetBytes(benchSize)
	var r *rig
	for n := 0; b.Loop(); n++ {
		if n%files == 0 {
			b.StopTimer()
			r = newRig(b, gathered, remembering, func(s *setting) { s.on = mem })
			b.StartTimer()
		}
		os.Stat(r.path(n % files))
		fd, err := syscall.Open(r.path(n%files), syscall.O_RDONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		if got, err := syscall.Read(fd, buf); err != nil || got != benchSize {
			b.Fatalf("%d bytes, %v", got, err)
		}
		syscall.Close(fd)
	}
}

// BenchmarkLookupNothing is what Orthanc does before each store.
func BenchmarkLookupNothing(b *testing.B) {
	r := newRig(b)
	for b.Loop() {
		os.Stat(r.path(1))
	}
}

func BenchmarkReaddir(b *testing.B) {
	for _, files := range []int{10, 1000} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			r := newRig(b)
			dir := filepath.Dir(r.path(1))
			for n := range files {
				if _, err := r.mem.Create(b.Context(), testUUID(1+n<<8).Key(), make([]byte, 100)); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if entries, err := os.ReadDir(dir); err != nil || len(entries) != files {
					b.Fatalf("%d entries, %v", len(entries), err)
				}
			}
		})
	}
}
