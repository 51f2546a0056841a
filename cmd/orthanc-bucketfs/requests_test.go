package main

import (
	"bytes"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/azure"
	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/backends/gcs"
	"orthanc-bucketfs/backends/s3"
	"orthanc-bucketfs/cmd/internal/access"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

// requestLog is what went out to a store.
type requestLog struct {
	mu      sync.Mutex
	methods []string
}

func (l *requestLog) observe(r backends.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.methods = append(l.methods, r.Method)
}

// take returns the methods since the last call, in order of the alphabet.
func (l *requestLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := slices.Sorted(slices.Values(l.methods))
	l.methods = nil
	return taken
}

// requestNames are the methods that a backend uses for a look or fetch, a
// store, a delete and a page of a listing.
type requestNames struct {
	get, put, del, list string
	more                []string // of a look at nothing
}

func requestConfigs() map[string]func(*testing.T) (Config, requestNames) {
	http := requestNames{get: "GET", put: "PUT", del: "DELETE", list: "GET"}
	return map[string]func(*testing.T) (Config, requestNames){
		"s3": func(t *testing.T) (Config, requestNames) {
			s := server.Versity(t)
			c := s3.DefaultConfig()
			c.Bucket, c.Endpoint, c.PathStyle = s.Bucket, s.URL, true
			c.AccessKey, c.SecretKey = s.AccessKey, backends.NewSecret(s.SecretKey)
			return Config{Backend: "s3", S3: c}, http
		},
		"azure": func(t *testing.T) (Config, requestNames) {
			s := server.Azurite(t)
			c := azure.DefaultConfig()
			c.ConnectionString = backends.NewSecret(s.ConnectionString(s.URL))
			c.Container, c.CreateContainer = "images", true
			return Config{Backend: "azure", Azure: c}, http
		},
		"gcs": func(t *testing.T) (Config, requestNames) {
			s := server.FakeGCS(t)
			c := gcs.DefaultConfig()
			c.Bucket, c.Endpoint = s.Bucket, s.URL
			// Unlike the service, fake-gcs-server does not say whether it is the
			// object that is missing or the bucket, so the bucket is asked for.
			return Config{Backend: "gcs", GCS: c}, requestNames{get: "GET", put: "POST", del: "DELETE", list: "GET", more: []string{"GET"}}
		},
		"dir": func(t *testing.T) (Config, requestNames) {
			return Config{Backend: "dir", Dir: DirBackend{Path: t.TempDir()}}, requestNames{get: "read", put: "create", del: "delete", list: "list"}
		},
	}
}

// countedMount is a new mount, which knows nothing yet, on a bucket whose
// requests are logged.
func countedMount(t *testing.T, cfg Config, key crypto.MasterKey) (dir string, log *requestLog) {
	t.Helper()
	log = new(requestLog)
	bucket, closer, err := openBucket(t.Context(), cfg, log.observe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closer.Close() })
	ring, err := crypto.NewKeyRing(key)
	if err != nil {
		t.Fatal(err)
	}
	timing := attachment.DefaultTiming()
	timing.Moment, timing.Recent = time.Hour, time.Hour // as long as the test takes, on any machine
	store := attachment.NewStore(attachment.Options{
		Bucket: bucket, Codec: attachment.Sealed(ring), Budget: budget.New(64<<20, time.Minute),
		Log: slog.New(slog.DiscardHandler), Timing: timing, SoleWriter: cfg.SoleWriter,
	})
	dir = t.TempDir()
	m, err := fs.New(fs.Options{
		Mountpoint: dir, Store: store, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
		Absence: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Unmount(); err != nil {
			t.Error(err)
		}
		store.Close()
	})
	// As the start of a mount does: what is missing in a bucket that has been seen
	// is an object.
	if _, err := bucket.List(t.Context(), backends.ListOptions{Limit: 1}); err != nil {
		t.Fatal(err)
	}
	store.LearnNames(t.Context())
	log.take()
	return dir, log
}

// What Orthanc's accesses cost on the wire, with every provider.
func TestRequestsOnTheWire(t *testing.T) {
	const name = "ab/cd/abcd0000-1111-4222-8333-444455556666"
	key, err := crypto.NewMasterKey(1, bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 512<<10/16)
	configs := requestConfigs()
	for _, backend := range slices.Sorted(maps.Keys(configs)) {
		t.Run(backend, func(t *testing.T) {
			cfg, names := configs[backend](t)
			dir, log := countedMount(t, cfg, key)
			cost := func(what string, want ...string) {
				t.Helper()
				if got := log.take(); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
					t.Errorf("%s took %q, want %q", what, got, want)
				}
			}
			storeAsOrthanc(t, filepath.Join(dir, name), content)
			cost("a store", append(names.more, names.get, names.put)...)
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
			cost("a stat after the store")

			dir, log = countedMount(t, cfg, key)
			readAsOrthanc(t, filepath.Join(dir, name), content[:8191])
			cost("the header", names.get)
			readAsOrthanc(t, filepath.Join(dir, name), content)
			cost("and the body")
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
			cost("a delete", names.del)
			storeAsOrthanc(t, filepath.Join(dir, name), content)

			dir, log = countedMount(t, cfg, key)
			entries, err := os.ReadDir(path.Dir(filepath.Join(dir, name)))
			if err != nil || len(entries) != 1 {
				t.Fatalf("listed %v, %v", entries, err)
			}
			if info, err := entries[0].Info(); err != nil || info.Size() != int64(len(content)) {
				t.Errorf("listed %v, %v", info, err)
			}
			cost("ls -l", names.list)

			cfg.SoleWriter = true
			dir, log = countedMount(t, cfg, key)
			storeAsOrthanc(t, filepath.Join(dir, "ab/cd/abcd0000-1111-4222-8333-000000000002"), content)
			cost("a store by the sole writer", names.put)
		})
	}
}

func storeAsOrthanc(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := access.Store(file, content); err != nil {
		t.Fatal(err)
	}
}

func readAsOrthanc(t *testing.T, file string, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := access.Read(file, got); err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("read: %v", err)
	}
}
