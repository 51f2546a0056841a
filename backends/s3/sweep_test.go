package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"orthanc-bucketfs/backends/backendtest/server"
)

// uploadEnv makes the test binary a client that stores a file of 1 GiB in the
// bucket at the URL.
const uploadEnv = "S3_TEST_UPLOAD"

func TestMain(m *testing.M) {
	endpoint := os.Getenv(uploadEnv)
	if endpoint == "" {
		os.Exit(m.Run())
	}
	b, err := Open(context.Background(), testConfig(endpoint))
	if err == nil {
		_, err = b.Create(context.Background(), "root/killed", make([]byte, 1<<30))
	}
	fmt.Fprintln(os.Stderr, "the upload has ended:", err)
	os.Exit(1)
}

// killDuringUpload kills a client when the store has taken two parts of an
// object, and no other is on the way to it.
func killDuringUpload(t *testing.T, w *wire) {
	t.Helper()
	taken, killed := make(chan struct{}, 2), make(chan struct{})
	w.mu.Lock()
	w.around = func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if n, err := strconv.Atoi(r.URL.Query().Get("partNumber")); err == nil && n > 2 {
			<-killed
			return
		}
		next.ServeHTTP(rw, r)
		if r.URL.Query().Has("partNumber") {
			taken <- struct{}{}
		}
	}
	w.mu.Unlock()
	client := exec.Command(os.Args[0])
	client.Env = append(os.Environ(), uploadEnv+"="+w.url)
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	defer close(killed)
	<-taken
	<-taken
	if err := client.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = client.Wait()
}

func uploads(t *testing.T, b *Bucket) int {
	t.Helper()
	out, err := b.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &b.cfg.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Uploads)
}

func TestSweepAfterKill(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) {
		w := startWire(t, s.URL)
		b := open(t, configBehind(w, s))
		killDuringUpload(t, w)
		foreign, err := b.begin(t.Context(), "foreign/file", "")
		if err != nil {
			t.Fatal(err)
		}
		if n := uploads(t, b); n != 2 {
			t.Fatalf("there are %d uploads, want that of the killed client and a foreign one", n)
		}
		const age = 5 * time.Minute
		ours := func(key string) bool { return key == "root/killed" }
		if swept, err := b.Sweep(t.Context(), age, ours); err != nil || len(swept) > 0 {
			t.Errorf("young uploads: got %+v, error %v", swept, err)
		}
		later(w, 2*age)
		swept, err := b.Sweep(t.Context(), age, ours)
		if err != nil || len(swept) != 1 || swept[0].Key != "root/killed" || time.Since(swept[0].Begun).Abs() > age {
			t.Errorf("got %+v, error %v", swept, err)
		}
		if n := uploads(t, b); n != 1 {
			t.Errorf("there are %d uploads, want the foreign one", n)
		}
		if err := foreign.abort(t.Context()); err != nil {
			t.Error(err)
		}
		wantMissing(t, b, "root/killed")
		wantEmpty(t, b)
	})
}

// later puts the store's clock forward, by less than the store bears: the SDK
// signs with the time that it is told.
func later(w *wire, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.response = func(r *http.Response) error {
		r.Header.Set("Date", time.Now().Add(d).UTC().Format(http.TimeFormat))
		return nil
	}
}

// Pages, keys in an encoding, an upload that is gone, one without a time.
func TestSweepOfPages(t *testing.T) {
	const entry = "<Upload><Key>%s</Key><UploadId>%s</UploadId>%s</Upload>"
	const old = "<Initiated>2020-01-02T03:04:05Z</Initiated>"
	var gone atomic.Int32
	b := fake(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case r.Method == http.MethodDelete && q.Get("uploadId") == "2":
			gone.Add(1)
			refuse(http.StatusNotFound, "NoSuchUpload")(w, r)
		case r.Method == http.MethodDelete:
			gone.Add(1)
			w.WriteHeader(http.StatusNoContent)
		case q.Get("key-marker") == "a+b" && q.Get("upload-id-marker") == "1":
			fmt.Fprint(w, "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>",
				fmt.Sprintf(entry, "c", "2", old), fmt.Sprintf(entry, "d", "3", ""), "</ListMultipartUploadsResult>")
		default:
			fmt.Fprint(w, "<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>",
				"<NextKeyMarker>a+b</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker>",
				fmt.Sprintf(entry, "a+b", "1", old), "</ListMultipartUploadsResult>")
		}
	}, nil)
	swept, err := b.Sweep(t.Context(), time.Hour, func(string) bool { return true })
	if err != nil || len(swept) != 2 || swept[0].Key != "a b" || swept[1].Key != "c" || gone.Load() != 2 {
		t.Errorf("got %+v, %d aborts, error %v", swept, gone.Load(), err)
	}
}

func TestSweepTellsPermissions(t *testing.T) {
	s := server.MinIO(t)
	b := open(t, with(t, s, "s3:ListBucket"))
	_, err := b.Sweep(t.Context(), time.Hour, func(string) bool { return true })
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "s3:ListBucketMultipartUploads") {
		t.Errorf("got error %v", err)
	}
	_, err = open(t, configFor(s)).begin(t.Context(), "x", "")
	if err != nil {
		t.Fatal(err)
	}
	w := startWire(t, s.URL)
	later(w, 10*time.Minute)
	cfg := with(t, s, "s3:ListBucketMultipartUploads")
	cfg.Endpoint = w.url
	_, err = open(t, cfg).Sweep(t.Context(), 5*time.Minute, func(string) bool { return true })
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "s3:AbortMultipartUpload") {
		t.Errorf("got error %v", err)
	}
}
