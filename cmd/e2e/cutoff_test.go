package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/dir"
	"orthanc-bucketfs/cmd/internal/access"
	"orthanc-bucketfs/cmd/internal/lab"
)

// kills is how often TestKillsLeaveNothing kills the daemon, for each backend.
var kills = flag.Int("kills", 3, "how often a daemon is killed, for each backend")

// cutOff is a mount whose daemon is killed again and again, and what writers were
// told of their files.
type cutOff struct {
	*testing.T
	ctx    context.Context
	site   *lab.Site
	bucket backends.Bucket

	mu     sync.Mutex // guards stored
	stored map[string][]byte

	daemons []*lab.Process
}

// A daemon that is killed in the middle of stores leaves nothing that nobody was
// told of: the next one finds it, and deletes it, or if the answer may just have
// been given names it in its log. What was acknowledged stays.
func TestKillsLeaveNothing(t *testing.T) {
	for _, backend := range []string{"dir", "s3", "azure", "gcs"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			c := newCutOff(t, backend)
			for range *kills {
				c.storeAndKill()
			}
			daemon := c.mount()
			named := c.awaitExactly()
			if err := daemon.Stop(c.ctx); err != nil {
				t.Error(err)
			}
			t.Logf("%d kills, %d acknowledged, %d named in the log", *kills, len(c.stored), named)
		})
	}
}

func newCutOff(t *testing.T, backend string) *cutOff {
	t.Helper()
	_, site := newSite(t)
	ctx := patientContext(t, time.Duration(*kills)*5*time.Second)
	c := &cutOff{T: t, ctx: ctx, site: site, stored: map[string][]byte{}}
	if backend == "dir" {
		bucket, err := dir.Open(site.Bucket().Dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bucket.Close() })
		c.bucket = bucket
		return c
	}
	started := clouds()[backend](t)
	c.bucket = started.bucket
	if err := site.Use(16, started.backend, started.settings, started.objects); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cutOff) mount() *lab.Process {
	c.Helper()
	daemon := mustMount(c.T, c.ctx, c.site)
	c.daemons = append(c.daemons, daemon)
	return daemon
}

// named reports that a daemon has said of a file that its writer may not know of it.
func (c *cutOff) named(name string) bool {
	for _, p := range c.daemons {
		for line := range strings.Lines(p.Log.String()) {
			if strings.Contains(line, "its writer may not have been told") && strings.Contains(line, name) {
				return true
			}
		}
	}
	return false
}

// storeAndKill stores with eight writers, and kills the daemon after a while.
func (c *cutOff) storeAndKill() {
	c.Helper()
	daemon := c.mount()
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(c.store)
	}
	time.Sleep(time.Duration(50+rand.IntN(300)) * time.Millisecond)
	if err := daemon.Kill(); err != nil {
		c.Error(err)
	}
	writers.Wait()
}

// store stores files until one is refused.
func (c *cutOff) store() {
	for {
		name, err := access.Names(1)
		if err != nil {
			c.Error(err)
			return
		}
		content := make([]byte, 1000+rand.IntN(200000))
		for i := range content {
			content[i] = byte(rand.Int())
		}
		if err := access.Store(filepath.Join(c.site.Mountpoint(), name[0]), content); err != nil {
			return
		}
		c.mu.Lock()
		c.stored[name[0]] = content
		c.mu.Unlock()
	}
}

// awaitExactly returns when the bucket holds what was acknowledged, and nothing
// else but what was named, or fails. It returns how many were named.
func (c *cutOff) awaitExactly() (named int) {
	c.Helper()
	want := slices.Sorted(maps.Keys(c.stored))
	var silent []string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		got := c.objects()
		silent = slices.DeleteFunc(slices.Clone(got), func(name string) bool { return c.stored[name] != nil || c.named(name) })
		named = len(got) - len(silent) - len(want)
		if len(silent) == 0 {
			break
		}
	}
	for _, name := range silent {
		c.Errorf("%s is in the bucket, and nobody was told", name)
	}
	for _, name := range want {
		content, err := os.ReadFile(filepath.Join(c.site.Mountpoint(), name))
		if errors.Is(err, fs.ErrNotExist) {
			c.Errorf("%s was acknowledged, and is lost", name)
		} else if err != nil || !bytes.Equal(content, c.stored[name]) {
			c.Errorf("%s: other content, error %v", name, err)
		}
	}
	return named
}

func (c *cutOff) objects() []string {
	c.Helper()
	var names []string
	for obj, err := range backends.All(c.ctx, c.bucket, "") {
		if err != nil {
			c.Fatal(err)
		}
		names = append(names, obj.Key)
	}
	return names
}
