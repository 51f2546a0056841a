package fs

import (
	"crypto/sha256"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestNumberOfPlaces(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		limit, size int64
		want        int
	}{
		{gib, 0, 8}, {gib, 512 << 10, 8}, {gib, 100 * mib, 5}, {gib, 512 * mib, 1}, {gib, 513 * mib, 0},
		{256 * mib, 0, 2}, {256 * mib, 64 * mib, 2}, {256 * mib, 65 * mib, 1}, {8 * mib, 0, 2}, {1, 0, 0},
		{64 * gib, 100 * mib, 8},
	} {
		p := newPlaces(c.limit)
		if c.size > 0 {
			p.sized(c.size)
			p.sized(1) // a smaller one changes nothing
		}
		if got := p.number(); got != c.want {
			t.Errorf("limit %d, size %d: %d places, want %d", c.limit, c.size, got, c.want)
		}
	}
}

func TestLargeFilesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1 << 30)
		p.sized(600 << 20)
		time.Sleep(sizeMemory / 2)
		p.sized(300 << 20) // it is about that size
		time.Sleep(sizeMemory / 2)
		if n := p.number(); n != 0 {
			t.Errorf("%d places within the minute", n)
		}
		p.sized(1)
		time.Sleep(sizeMemory / 2)
		if n := p.number(); n != maxPlaces {
			t.Errorf("%d places after it", n)
		}
		p.sized(200 << 20)
		if n := p.number(); n != 2 {
			t.Errorf("%d places after another one", n)
		}
	})
}

func TestPlacesAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1 << 30)
		for range maxPlaces {
			if !p.take() {
				t.Fatal("no place")
			}
		}
		begin := time.Now()
		time.AfterFunc(placePatience/2, p.leave)
		if !p.take() || time.Since(begin) != placePatience/2 {
			t.Errorf("waited %v for a place", time.Since(begin))
		}
		if p.take() {
			t.Error("got a place that is taken")
		}
		begin = time.Now()
		if p.take() || time.Since(begin) != 0 {
			t.Errorf("waited %v, again in vain", time.Since(begin))
		}
		p.leave()
		if !p.take() {
			t.Error("did not get the place that was left")
		}
	})
}

// Many writers of files that cannot all be in memory take turns: none fails, and
// none waits for ever for another one.
func TestWritersOfLargeFilesTakeTurns(t *testing.T) {
	const limit, size, writers = 64 << 20, 24 << 20, 10
	r := newRig(t, gathered, func(s *setting) { s.limit = limit })
	content := testContent(size, 1)
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			fd, err := syscall.Open(r.path(n), syscall.O_WRONLY|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
			if err != nil {
				t.Error(err)
				return
			}
			for off := 0; off < size && err == nil; off += 4096 {
				_, err = syscall.Write(fd, content[off:off+4096])
			}
			if err == nil {
				err = syscall.Fdatasync(fd)
			}
			if closed := syscall.Close(fd); err != nil || closed != nil {
				t.Errorf("file %d: %v, close %v", n, err, closed)
			}
		})
	}
	group.Wait()
	for n := range writers {
		got, err := os.ReadFile(r.path(n))
		if err != nil || sha256.Sum256(got) != sha256.Sum256(content) {
			t.Errorf("file %d: %d bytes, %v", n, len(got), err)
		}
	}
}
