package server

import (
	"os"
	"path/filepath"
	"testing"
)

// S3 is an S3 server that runs, with one bucket, which was empty at first.
type S3 struct {
	*Process

	URL       string // of the server; the bucket stands in the path
	Bucket    string
	AccessKey string
	SecretKey string

	// Objects is the directory in which every object is a file under its key;
	// empty if the server keeps them otherwise.
	Objects string

	// Authority is the PEM file of the certificate authority that the server's
	// certificate is from; empty over plain HTTP.
	Authority string
}

// newS3 makes up what a server is started with: its root, a directory that has
// one for the bucket.
func newS3(t testing.TB) (s S3, root string) {
	t.Helper()
	s = S3{Bucket: "images", AccessKey: "test-access", SecretKey: "test-secret-key"}
	root = t.TempDir()
	if err := os.Mkdir(filepath.Join(root, s.Bucket), 0o700); err != nil {
		t.Fatal(err)
	}
	return s, root
}
