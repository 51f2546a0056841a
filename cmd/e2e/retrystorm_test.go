package e2e_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/cmd/internal/access"
	"orthanc-bucketfs/cmd/internal/lab"
)

var (
	stormStores = flag.Int("storm", 200, "how many files are stored in the retry storm, on each server")
	stormSeed   = flag.Uint64("stormseed", 1, "which faults the storms have")
)

// retryStorm is a storm, and what those who store there were told of their files.
type retryStorm struct {
	*storm
	site *lab.Site

	mu    sync.Mutex // guards files
	files []stormFile
}

// stormFile is one that somebody has tried to store.
type stormFile struct {
	name           string
	content        []byte
	tries          int
	version        string // that was acknowledged; empty if none was
	deleted, doubt bool   // a delete has succeeded, or failed
}

// TestRetryStorm stores as Orthanc 1.12.7 does, in a storm. In the end every
// acknowledged file is the very version that was acknowledged, and nothing else is
// in the bucket that the log does not report.
func TestRetryStorm(t *testing.T) {
	eachStorm(t, func(t *testing.T, c cloud, alone bool) {
		_, site := newSite(t)
		if alone {
			must(t, site.StoreAlone(16))
		}
		c, proxy := c.behind(t)
		must(t, site.Use(16, c.backend, c.settings, c.objects))
		ctx := patientContext(t, 5*time.Minute+time.Duration(*stormStores)*time.Second)
		daemon := mustMount(t, ctx, site)
		if alone {
			must(t, daemon.Await(ctx, "the names of all files are known"))
		}
		s := &retryStorm{storm: &storm{T: t, ctx: ctx, bucket: c.bucket, proxy: proxy, log: daemon.Log}, site: site}
		s.during(*stormSeed, s.blow)
		s.check(s.settle(s.wanted()))
		if err := daemon.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

func (s *retryStorm) blow() {
	s.Helper()
	names, err := access.Names(*stormStores)
	must(s.T, err)
	if err := lab.Each(32, names, s.store); err != nil {
		s.Error(err)
	}
}

// store stores a file, and deletes some as soon as they are acknowledged. It
// notes the version beside the mount.
func (s *retryStorm) store(name string) error {
	f := stormFile{name: name, content: make([]byte, rand.IntN(60000))}
	for i := range f.content {
		f.content[i] = byte(rand.Int())
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.files = append(s.files, f)
	}()
	path := filepath.Join(s.site.Mountpoint(), name)
	var err error
	if f.tries, err = access.StoreRepeatedly(path, f.content); err != nil {
		return nil
	}
	obj, err := s.bucket.Stat(s.ctx, name)
	if err != nil {
		return fmt.Errorf("%s was acknowledged just now: %w", name, err)
	}
	f.version = obj.Version
	if rand.Float64() < 0.2 {
		err := access.Remove(path)
		f.deleted, f.doubt = err == nil, err != nil
	}
	return nil
}

// wanted returns the names of the files that belong in the bucket.
func (s *retryStorm) wanted() map[string]bool {
	wanted := map[string]bool{}
	for _, f := range s.files {
		wanted[f.name] = f.version != "" && !f.deleted || f.doubt
	}
	return wanted
}

func (s *retryStorm) check(silent []string) {
	s.Helper()
	var acked, repeated, deleted, doubt, lost, wrong int
	for _, f := range s.files {
		switch {
		case f.version == "":
			continue
		case f.deleted:
			deleted++
		case f.doubt:
			doubt++
		default:
			switch err := s.checkFile(f); {
			case errors.Is(err, fs.ErrNotExist):
				lost++
				s.Errorf("%s was acknowledged after %d tries, and is lost: %v", f.name, f.tries, err)
			case err != nil:
				wrong++
				s.Errorf("%s was acknowledged after %d tries: %v", f.name, f.tries, err)
			}
		}
		acked++
		repeated += min(f.tries-1, 1)
	}
	s.Logf("%d stores in %d requests: %d acknowledged, %d of them after a repetition, %d deleted, %d deletes failed; lost %d, wrong %d, left unreported %d",
		len(s.files), s.proxy.Requests(), acked, repeated, deleted, doubt, lost, wrong, len(silent))
}

func (s *retryStorm) checkFile(f stormFile) error {
	obj, err := s.bucket.Stat(s.ctx, f.name)
	if err != nil {
		return err
	}
	if obj.Version != f.version {
		return fmt.Errorf("version %s was acknowledged, there is %s", f.version, obj.Version)
	}
	content, err := os.ReadFile(filepath.Join(s.site.Mountpoint(), f.name))
	if err == nil && !bytes.Equal(content, f.content) {
		return errors.New("it has other content")
	}
	return err
}
