package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// stored is what a store got in a PUT.
type stored struct {
	header http.Header
	body   []byte
}

// accept takes every PUT.
func accept(got *stored) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		got.header = r.Header
		got.body, _ = io.ReadAll(r.Body)
		w.Header().Set("ETag", `"v"`)
	}
}

func (s stored) want(t *testing.T, name, value string) {
	t.Helper()
	if got := s.header.Get(name); got != value {
		t.Errorf("%s: got %q, want %q", name, got, value)
	}
}

func TestPutOverHTTP(t *testing.T) {
	var got stored
	b := fake(t, accept(&got), nil)
	body := []byte("123456789")
	if _, err := b.Create(t.Context(), "x", body); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(body)
	got.want(t, "X-Amz-Content-Sha256", hex.EncodeToString(digest[:]))
	got.wantPlain(t, body)
}

func TestPutOverTLS(t *testing.T) {
	var got stored
	store := httptest.NewTLSServer(accept(&got))
	t.Cleanup(store.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: store.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(store.URL)
	body := []byte("123456789")
	_, err := open(t, cfg).Create(t.Context(), "x", body)
	wantOnly(t, err, nil) // the certificate is unknown
	cfg.CACertificates = file
	if _, err := open(t, cfg).Create(t.Context(), "x", body); err != nil {
		t.Fatal(err)
	}
	got.want(t, "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	got.wantPlain(t, body)
}

// wantPlain reports a body that is anything but itself, as aws-chunked.
func (s stored) wantPlain(t *testing.T, body []byte) {
	t.Helper()
	s.want(t, "X-Amz-Checksum-Crc32c", "4waSgw==")
	s.want(t, "If-None-Match", "*")
	s.want(t, "Content-Type", "application/octet-stream")
	s.want(t, "Content-Encoding", "")
	s.want(t, "X-Amz-Trailer", "")
	if !bytes.Equal(s.body, body) {
		t.Errorf("got body %q, want %q", s.body, body)
	}
}

func TestOptionsOfNewObjects(t *testing.T) {
	var got stored
	b := fake(t, func(w http.ResponseWriter, r *http.Request) {
		accept(&got)(w, r)
		if r.Method == http.MethodPost {
			_, _ = w.Write([]byte("<InitiateMultipartUploadResult/>"))
		}
	}, func(cfg *Config) {
		cfg.StorageClass = "STANDARD_IA"
		cfg.Tags = map[string]string{"project": "a b", "owner": "pacs"}
		cfg.ServerSideEncryption = "aws:kms"
		cfg.KMSKeyID = "key-1"
	})
	for _, make := range []func() error{
		func() error { _, err := b.Create(t.Context(), "x", nil); return err },
		func() error { _, err := b.begin(t.Context(), "x", ""); return err },
	} {
		_ = make()
		got.want(t, "X-Amz-Storage-Class", "STANDARD_IA")
		got.want(t, "X-Amz-Tagging", "owner=pacs&project=a+b")
		got.want(t, "X-Amz-Server-Side-Encryption", "aws:kms")
		got.want(t, "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "key-1")
		got.want(t, "Content-Type", "application/octet-stream")
		got.header = nil
	}
}

// The HTTP client reads a body in a goroutine of its own, which may live on
// after a call was cancelled. The race detector sees whether it still reads.
func TestBodyIsFreeAfterwards(t *testing.T) {
	arrived := make(chan struct{})
	b := fake(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1))
		close(arrived)
		hang(t)(w, r)
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	body := pattern(partThreshold) // more than the buffers of a connection hold
	_, err := b.Create(ctx, "x", body)
	wantOnly(t, err, context.Canceled)
	clear(body)
}

func TestModifiedAfterCreate(t *testing.T) {
	date := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	b := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v"`)
		w.Header().Set("Date", date.Format(http.TimeFormat))
	}, nil)
	obj, err := b.Create(t.Context(), "x", nil)
	if err != nil || !obj.Modified.Equal(date) {
		t.Errorf("got %v, error %v, want the store's own time %v", obj.Modified, err, date)
	}
}
