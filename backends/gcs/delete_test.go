package gcs

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

func TestDeletesOnce(t *testing.T) {
	backendtest.RunDeletesOnce(t, func(url string) (backends.Bucket, error) {
		cfg := testConfig(url)
		cfg.MaxRetries = 3
		return Open(t.Context(), cfg)
	})
}

// The condition is the generation. What the service says of it is the answer.
func TestDeleteOfAVersion(t *testing.T) {
	f := newFake(t, status(204, ""), problem(412, "conditionNotMet", "no"), problem(404, "notFound", "No such object: images/x"))
	b := f.open(0)
	if err := b.Delete(t.Context(), "x", "7"); err != nil {
		t.Error(err)
	}
	wantMeaning(t, "another version", b.Delete(t.Context(), "x", "7"), backends.ErrChanged)
	if err := b.Delete(t.Context(), "x", "7"); err != nil {
		t.Errorf("a missing object: %v", err)
	}
	wantMeaning(t, "no version", b.Delete(t.Context(), "x", "seven"), backends.ErrChanged)
	f.used()
	for _, r := range f.seen {
		if got := r.URL.Query().Get("ifGenerationMatch"); got != "7" {
			t.Errorf("got condition %q", got)
		}
	}
}

func TestStalls(t *testing.T) {
	backendtest.RunStalls(t, func(url string) (backends.Bucket, error) {
		cfg := testConfig(url)
		cfg.MaxRetries, cfg.RequestTimeout = 3, 1
		return Open(t.Context(), cfg)
	})
}
