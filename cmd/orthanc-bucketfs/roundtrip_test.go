package main

import (
	"errors"
	"io"
	"log/slog"
	"testing"

	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/fs/attachment"
)

// In either layout, a read-only start asks the bucket, and believes no success
// that cost no request.
func TestReadOnlyRoundTripAsksTheBucket(t *testing.T) {
	for _, layout := range []string{"legacy", "flat"} {
		cfg := validConfig()
		cfg.ReadOnly, cfg.Layout = true, layout
		bucket := backendtest.NewFaulty(backendtest.NewMem())
		s, err := newStack(cfg, attachment.Plain(), new(keys), bucket, io.NopCloser(nil), slog.New(slog.DiscardHandler), hooks{})
		if err != nil {
			t.Fatal(err)
		}
		if found := checkRoundTrip(t.Context(), cfg, s); found.Err != nil {
			t.Errorf("%s: %v", layout, found.Err)
		}
		bucket.Inject(backendtest.Each(backendtest.OpList, backendtest.Fail(errDisk)))
		if found := checkRoundTrip(t.Context(), cfg, s); !errors.Is(found.Err, errDisk) {
			t.Errorf("%s, out of reach: %v", layout, found.Err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}
