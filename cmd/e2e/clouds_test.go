package e2e_test

import (
	"fmt"
	"testing"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/cmd/internal/lab"
)

// TestOtherClouds is a shorter day: the emulators do not keep objects as files
// that could be looked into.
func TestOtherClouds(t *testing.T) {
	for name, store := range map[string]store{"azure": onAzure, "gcs": onGCS} {
		t.Run(name, func(t *testing.T) {
			p := newPACS(t, options{sync: true, store: store})
			images := p.storeByAllMeans(variants(0, len(shared.corpus)))
			images = append(images, p.uploadAll(large(1, 20<<20))...)
			p.checkAll(images)
			p.restartAll()
			p.checkAll(images)
			p.deleteAll(images)
		})
	}
}

// onAzure starts Azurite for the site.
func onAzure(t *testing.T, site *lab.Site, budgetMiB int) {
	t.Helper()
	s := server.Azurite(t)
	settings := fmt.Sprintf("connection_string = %q\ncontainer = \"images\"\ncreate_container = true", s.ConnectionString(s.URL))
	if err := site.Use(budgetMiB, "azure", settings, ""); err != nil {
		t.Fatal(err)
	}
}

// onGCS starts fake-gcs-server for the site.
func onGCS(t *testing.T, site *lab.Site, budgetMiB int) {
	t.Helper()
	s := server.FakeGCS(t)
	if err := site.Use(budgetMiB, "gcs", fmt.Sprintf("bucket = %q\nendpoint = %q", s.Bucket, s.URL), ""); err != nil {
		t.Fatal(err)
	}
}
