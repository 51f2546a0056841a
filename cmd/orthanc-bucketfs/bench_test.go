package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
)

// What a run has stored is deleted, and nothing else; what cannot be is named.
func TestRemoveScratch(t *testing.T) {
	bucket := backendtest.NewFaulty(backendtest.NewMem())
	for _, key := range []string{"root/bench-1/direct/a", "root/bench-1/mount/b", "root/bench-10/c", "root/ab/d"} {
		if _, err := bucket.Create(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	outage := errors.New("out of reach")
	bucket.Inject(backendtest.Each(backendtest.OpDelete, backendtest.Fail(outage)))
	err := removeScratch(t.Context(), Config{Backend: "s3"}, bucket, "root/bench-1")
	if !errors.Is(err, outage) || !strings.Contains(err.Error(), "root/bench-1") {
		t.Errorf("got error %v", err)
	}
	bucket.Reset()
	if err := removeScratch(t.Context(), Config{Backend: "s3"}, bucket, "root/bench-1"); err != nil {
		t.Fatal(err)
	}
	var left []string
	for obj, err := range backends.All(t.Context(), bucket, "") {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, obj.Key)
	}
	if got := strings.Join(left, " "); got != "root/ab/d root/bench-10/c" {
		t.Errorf("left: %s", got)
	}
}

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for ms := 100; ms > 0; ms-- {
		times = append(times, time.Duration(ms)*time.Millisecond)
	}
	for percent, want := range map[int]float64{50: 50, 95: 95, 99: 99} {
		if got := quantile(times, percent); got != want {
			t.Errorf("%d percent within %v ms, want %v", percent, got, want)
		}
	}
}
