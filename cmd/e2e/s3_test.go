package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/cmd/internal/lab"
)

// store puts the bucket of a site on a server that it starts.
type store func(t *testing.T, site *lab.Site, budgetMiB int)

// TestS3 is a day in the life of an Orthanc whose images are on an S3 server.
func TestS3(t *testing.T) {
	day(newPACS(t, options{sync: true, store: onS3}))
}

// TestS3KillDuringBurst is TestKillDuringBurst with an S3 server.
func TestS3KillDuringBurst(t *testing.T) {
	p := newPACS(t, options{sync: true, store: onS3})
	all := p.killInBurst(func(b *burst) error { return b.awaitAcks(p.ctx, 1) })
	p.mount()
	p.replaceOrthanc()
	p.checkAftermath(all)
}

// onS3 starts a Versity S3 Gateway for the site. It keeps objects as files.
func onS3(t *testing.T, site *lab.Site, budgetMiB int) {
	t.Helper()
	const module = "github.com/versity/versitygw"
	const access, secret, bucket = "test-access", "test-secret", "images"
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, bucket), 0o700); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	server.Start(t, server.Command{
		Name:    "versitygw",
		Argv:    []string{server.GoInstall(t, module+"@v1.8.0", module+"/cmd/versitygw"), "--quiet", "--port", address, "posix", root},
		Env:     []string{"ROOT_ACCESS_KEY=" + access, "ROOT_SECRET_KEY=" + secret},
		Address: address,
	})
	settings := fmt.Sprintf("bucket = %q\nendpoint = %q\naccess_key = %q\nsecret_key = %q\npath_style = true",
		bucket, "http://"+address, access, secret)
	if err := site.Use(budgetMiB, "s3", settings, filepath.Join(root, bucket)); err != nil {
		t.Fatal(err)
	}
}
