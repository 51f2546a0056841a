package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/backends/backendtest/wire"
	"orthanc-bucketfs/backends/s3"
	"orthanc-bucketfs/cmd/internal/access"
	"orthanc-bucketfs/cmd/internal/lab"
)

var (
	stormStores = flag.Int("storm", 200, "how many files are stored in the retry storm, on each server")
	stormSeed   = flag.Uint64("stormseed", 1, "which faults the retry storm has")
)

// retryStorm is a mount whose requests are late, and what those who store there
// were told of their files.
type retryStorm struct {
	*testing.T
	ctx    context.Context
	site   *lab.Site
	bucket backends.Bucket // without faults
	proxy  *wire.Proxy
	daemon *lab.Process

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

// TestRetryStorm stores as Orthanc 1.12.7 does, through a mount whose answers are
// lost, and whose PUT and DELETE arrive after the daemon has given them up. In the
// end every acknowledged file is the very version that was acknowledged, and
// nothing else is in the bucket that the log does not name. TestRetryStorm of
// package faults has all options on each server.
func TestRetryStorm(t *testing.T) {
	for _, c := range []struct {
		name     string
		start    func(*testing.T) cloud
		settings string
		alone    bool
	}{
		{"s3", startS3, "", false},
		{"minio", startMinIO, "max_retries = 1", false},
		{"azure", startAzure, "", true},
		{"gcs", startGCS, "max_retries = 1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newRetryStorm(t, c.start(t), c.settings, c.alone)
			s.blow()
			s.settle()
			s.check()
			if err := s.daemon.Stop(s.ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func startMinIO(t *testing.T) cloud {
	t.Helper()
	s := server.MinIO(t)
	cfg := s3.DefaultConfig()
	cfg.Bucket, cfg.Endpoint, cfg.AccessKey, cfg.SecretKey, cfg.PathStyle = s.Bucket, s.URL, s.AccessKey, backends.NewSecret(s.SecretKey), true
	bucket, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cloud{bucket, fmt.Sprintf("bucket = %q\nendpoint = %q\naccess_key = %q\nsecret_key = %q\npath_style = true",
		s.Bucket, s.URL, s.AccessKey, s.SecretKey), ""}
}

// newRetryStorm mounts a bucket that the daemon reaches through a proxy.
func newRetryStorm(t *testing.T, c cloud, settings string, alone bool) *retryStorm {
	t.Helper()
	_, site := newSite(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Duration(*stormStores)*time.Second)
	t.Cleanup(cancel)
	proxy, through := c.behindProxy(t)
	s := &retryStorm{T: t, ctx: ctx, site: site, bucket: c.bucket, proxy: proxy}
	backend := filepath.Base(t.Name())
	if backend == "minio" {
		backend = "s3"
	}
	if alone {
		must(t, site.StoreAlone(16))
	}
	must(t, site.Use(16, backend, through+"\n"+settings, c.objects))
	s.daemon = mustMount(t, ctx, site)
	if alone {
		must(t, s.daemon.Await(ctx, "the names of all files are known"))
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// blow stores files while the faults last.
func (s *retryStorm) blow() {
	s.Helper()
	faults := wire.NewStorm(*stormSeed, wire.Odds{
		LoseUpload: 0.3, LateUpload: 0.25, LoseDelete: 0.2, LateDelete: 0.4, CutRead: 0.4, Latest: 3 * time.Second,
	})
	names, err := access.Names(*stormStores)
	must(s.T, err)
	s.proxy.Inject(faults.Choose)
	if err := lab.Each(32, names, func(name string) error { return s.store(name) }); err != nil {
		s.Error(err)
	}
	s.proxy.Inject(nil)
	faults.End()
	s.proxy.Wait()
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

// settle waits until nothing is in the bucket but what is wanted or named, or too
// long.
func (s *retryStorm) settle() {
	s.Helper()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		if len(s.silent()) == 0 {
			return
		}
	}
}

// silent returns the names in the bucket of files that are not wanted there, and
// that the log does not name.
func (s *retryStorm) silent() []string {
	s.Helper()
	wanted, named := map[string]bool{}, s.named()
	for _, f := range s.files {
		wanted[f.name] = f.version != "" && !f.deleted && !f.doubt
	}
	var silent []string
	for obj, err := range backends.All(s.ctx, s.bucket, "") {
		must(s.T, err)
		// Those with which the daemon tries the bucket hold nothing, and the next
		// start deletes what is left of them.
		if strings.HasPrefix(obj.Key, "orthanc-bucketfs-probe-") {
			continue
		}
		if !wanted[obj.Key] && !strings.Contains(named, obj.Key) {
			silent = append(silent, obj.Key)
		}
	}
	return silent
}

// named returns the lines of the log that report objects that may be left.
func (s *retryStorm) named() string {
	var lines strings.Builder
	for line := range strings.Lines(s.daemon.Log.String()) {
		if strings.Contains(line, "may be left in the bucket") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

func (s *retryStorm) check() {
	s.Helper()
	left := s.silent()
	for _, name := range left {
		s.Errorf("%s is in the bucket, and nobody was told", name)
	}
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
		len(s.files), s.proxy.Requests(), acked, repeated, deleted, doubt, lost, wrong, len(left))
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
