package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"orthanc-bucketfs/backends/backendtest/server"
)

// TestMountSweeps has uploads that were cut off long ago, and one that another
// machine may be at work on. The server's clock of uploads is the time of their
// directories.
func TestMountSweeps(t *testing.T) {
	ctx, site := newSite(t)
	store := server.Versity(t)
	client := s3.New(s3.Options{BaseEndpoint: &store.URL, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(store.AccessKey, store.SecretKey, "")})
	begin := func(key string) {
		if _, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &store.Bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	begin(attachment)
	begin("somebody/elses")
	longAgo := time.Now().Add(-72 * time.Hour)
	uploads, err := filepath.Glob(filepath.Join(store.Objects, ".sgwtmp", "multipart", "*", "*"))
	if err != nil || len(uploads) != 2 {
		t.Fatalf("%d uploads, error %v", len(uploads), err)
	}
	for _, dir := range uploads {
		if err := os.Chtimes(dir, longAgo, longAgo); err != nil {
			t.Fatal(err)
		}
	}
	const young = "ef/01/ef010000-1111-4222-8333-444455556666"
	begin(young)
	settings := fmt.Sprintf("bucket = %q\nendpoint = %q\naccess_key = %q\nsecret_key = %q\npath_style = true",
		store.Bucket, store.URL, store.AccessKey, store.SecretKey)
	if err := site.Use(16, "s3", settings, store.Objects); err != nil {
		t.Fatal(err)
	}
	daemon := mustMount(t, ctx, site)
	if err := daemon.Await(ctx, "given up"); err != nil {
		t.Fatal(err)
	}
	out, err := client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &store.Bucket})
	if err != nil || len(out.Uploads) != 2 || *out.Uploads[0].Key != young || *out.Uploads[1].Key != "somebody/elses" {
		t.Errorf("left are %+v, error %v", out, err)
	}
	if err := daemon.Stop(ctx); err != nil {
		t.Errorf("%v:\n%s", err, daemon.Log.Tail(20))
	}
}
