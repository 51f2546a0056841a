package azure

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
	"orthanc-bucketfs/backends/internal/retry"
)

// staging keeps the blocks of one upload, as the service would.
type staging struct {
	t      *testing.T
	mu     sync.Mutex // guards the fields below
	blocks map[string][]byte
	object []byte
	heads  []http.Header // of every request
}

func (s *staging) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heads = append(s.heads, r.Header)
	if sum := md5.Sum(body); r.URL.Query().Get("comp") != "blocklist" && r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
		s.t.Errorf("%s %s: %d bytes, error %v, and not their checksum", r.Method, r.URL.Path, len(body), err)
	}
	switch r.URL.Query().Get("comp") {
	case "block":
		s.blocks[r.URL.Query().Get("blockid")] = body
	case "blocklist":
		var list struct{ Latest []string }
		if err := xml.Unmarshal(body, &list); err != nil {
			s.t.Error(err)
		}
		for _, id := range list.Latest {
			s.object = append(s.object, s.blocks[id]...)
		}
		describeTo(w, "v")
	default:
		s.object = body
		describeTo(w, "v")
	}
	w.WriteHeader(http.StatusCreated)
}

func TestBlocksMakeTheObject(t *testing.T) {
	for _, size := range []int{0, 1, 1000, 1 << 10, 1<<10 + 1, 512 << 10, 512<<10 + 1, 5<<20 - 1} {
		s := &staging{t: t, blocks: map[string][]byte{}}
		b := fake(t, 0, s.ServeHTTP)
		body := random(1, size)
		obj, err := b.Create(t.Context(), "x", body)
		if err != nil || obj.Size != int64(size) || obj.Version != "v" || !bytes.Equal(s.object, body) {
			t.Errorf("Create of %d bytes: %+v, error %v, %d bytes stored", size, obj, err, len(s.object))
		}
		last := s.heads[len(s.heads)-1]
		if last.Get("If-None-Match") != "*" {
			t.Errorf("Create of %d bytes: the object is stored without a condition", size)
		}
		if len(last.Values("x-ms-access-tier")) > 0 {
			t.Errorf("Create of %d bytes: sets an access tier", size)
		}
	}
}

func TestUploadsShareNoBlockID(t *testing.T) {
	seen := map[string]bool{}
	for range 10 {
		for _, id := range blockIDs(5) {
			if seen[id] || len(id) != len(blockIDs(1)[0]) {
				t.Fatalf("id %q is used twice, or of another length", id)
			}
			seen[id] = true
		}
	}
}

// held is a transport whose requests wait until they are released.
type held struct {
	inFlight atomic.Int32
	release  chan struct{}
}

func (h *held) RoundTrip(req *http.Request) (*http.Response, error) {
	h.inFlight.Add(1)
	defer h.inFlight.Add(-1)
	<-h.release
	rec := httptest.NewRecorder()
	describeTo(rec, "v")
	rec.WriteHeader(http.StatusCreated)
	return rec.Result(), nil
}

func TestBlocksInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.ConnectionString, cfg.Container = backends.NewSecret(exampleString), "images"
		h := &held{release: make(chan struct{})}
		client, err := newClient(cfg, small(), new(retry.Budget), h)
		if err != nil {
			t.Fatal(err)
		}
		b := &Bucket{client: client, sizes: small(), pool: httpconn.NewPool(httpconn.For(cfg.Limits))}
		created := make(chan error)
		go func() {
			_, err := b.Create(t.Context(), "x", make([]byte, 12*b.sizes.block))
			created <- err
		}()
		synctest.Wait()
		if n := h.inFlight.Load(); n != 4 {
			t.Errorf("%d blocks are in flight, want 4", n)
		}
		close(h.release)
		if err := <-created; err != nil {
			t.Error(err)
		}
	})
}

// TestRefusedBlockEndsTheUpload: each worker may have had its next block in
// hand when another's was refused.
func TestRefusedBlockEndsTheUpload(t *testing.T) {
	var blocks, lists atomic.Int32
	b := fake(t, 0, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("comp") == "blocklist" {
			lists.Add(1)
		} else {
			blocks.Add(1)
		}
		refuse(w, http.StatusForbidden, "AuthorizationFailure")
	})
	b.sizes.block = 100
	_, err := b.Create(t.Context(), "x", make([]byte, 1000*b.sizes.block))
	wantOnly(t, "Create", err, fs.ErrPermission)
	if lists.Load() > 0 || blocks.Load() > 2*blockWorkers {
		t.Errorf("%d blocks and %d lists of blocks were sent after a refusal", blocks.Load(), lists.Load())
	}
}

// TestRefusedBlockCancelsTheOthers, which are never answered.
func TestRefusedBlockCancelsTheOthers(t *testing.T) {
	over := make(chan struct{})
	var n atomic.Int32
	b := fake(t, 0, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < blockWorkers {
			<-over
			return
		}
		refuse(w, http.StatusForbidden, "AuthorizationFailure")
	})
	t.Cleanup(func() { close(over) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := b.Create(ctx, "x", make([]byte, 100*b.sizes.block))
	wantOnly(t, "Create", err, fs.ErrPermission)
	if ctx.Err() != nil {
		t.Error("Create has waited for blocks that were of no use any more")
	}
}

// TestCause: a context may have ended for a cause of its own.
func TestCause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	b := fake(t, 0, func(http.ResponseWriter, *http.Request) {
		cancel(errors.New("of no interest"))
		<-ctx.Done()
		panic(http.ErrAbortHandler)
	})
	_, err := b.Create(ctx, "x", make([]byte, 10*b.sizes.block))
	wantOnly(t, "Create", err, context.Canceled)
}

// keeper is a transport that fails the first attempt half way and keeps every
// body it was given, as net/http may.
type keeper struct{ bodies []io.Reader }

func (k *keeper) RoundTrip(req *http.Request) (*http.Response, error) {
	again, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	k.bodies = append(k.bodies, req.Body, again)
	if len(k.bodies) == 2 {
		_, _ = io.ReadFull(req.Body, make([]byte, 500))
		return nil, io.ErrClosedPipe
	}
	for _, r := range []io.Reader{req.Body, again} {
		if n, err := io.Copy(io.Discard, io.LimitReader(r, 1000)); n != 1000 || err != nil {
			return nil, fmt.Errorf("second attempt got %d bytes, error %w", n, err)
		}
	}
	rec := httptest.NewRecorder()
	describeTo(rec, "v")
	rec.WriteHeader(http.StatusCreated)
	return rec.Result(), nil
}

func TestNobodyReadsTheBodyAfterCreate(t *testing.T) {
	for _, size := range []int{1000, 2000} { // in one request, and as a block
		k := &keeper{}
		cfg := DefaultConfig()
		cfg.ConnectionString, cfg.Container = backends.NewSecret(exampleString), "images"
		sz := sizes{whole: 1000, block: 2000, retryDelay: time.Millisecond}
		client, err := newClient(cfg, sz, new(retry.Budget), k)
		if err != nil {
			t.Fatal(err)
		}
		b := &Bucket{client: client, sizes: sz, pool: httpconn.NewPool(httpconn.For(cfg.Limits))}
		if size <= sz.whole {
			_, err = b.Create(t.Context(), "x", make([]byte, size))
		} else {
			err = b.stage(t.Context(), "create", client.NewBlockBlobClient("x"), blockIDs(1), make([]byte, size))
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range k.bodies {
			if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, errTakenBack) {
				t.Errorf("body %d of %d bytes can be read after Create: %d bytes, error %v", i, size, n, err)
			}
		}
	}
}
