package e2e_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/wire"
	"orthanc-bucketfs/cmd/internal/lab"
)

// probePrefix is how the keys begin with which the daemon tries the bucket.
const probePrefix = "orthanc-bucketfs-probe-"

// storm is a mount whose answers are lost, and whose PUT and DELETE arrive after
// the daemon has given them up.
type storm struct {
	*testing.T
	ctx    context.Context
	bucket backends.Bucket // without faults
	proxy  *wire.Proxy
	log    *lab.Log // the daemon's
	lasted time.Duration
}

// eachStorm runs a test with each server, and with the settings that make a
// difference. TestRetryStorm of package faults has all of them on each server.
func eachStorm(t *testing.T, test func(t *testing.T, c cloud, alone bool)) {
	require(t)
	for _, s := range []struct {
		name     string
		start    func(*testing.T) cloud
		settings string
		alone    bool
	}{
		{"s3", startS3, "", false},
		{"minio", startMinIO, "max_retries = 1", false},
		{"azure", startAzure, "", true},
		{"gcs", startGCS, "max_retries = 1", true},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := s.start(t)
			c.settings += "\n" + s.settings
			test(t, c, s.alone)
		})
	}
}

// during has the faults last as long as do. They spare the objects with which the
// daemon tries the bucket, so that it does not take the storm for an outage, in
// which nothing is stored.
func (s *storm) during(seed uint64, do func()) {
	faults := wire.NewStorm(seed, wire.Odds{
		LoseUpload: 0.3, LateUpload: 0.25, LoseDelete: 0.2, LateDelete: 0.4, CutRead: 0.4, Latest: 3 * time.Second,
	})
	begun := time.Now()
	s.proxy.Inject(func(r *http.Request) wire.Fault {
		if strings.Contains(r.URL.Path, probePrefix) {
			return nil
		}
		return faults.Choose(r)
	})
	do()
	s.proxy.Inject(nil)
	faults.End()
	s.proxy.Wait()
	s.lasted = time.Since(begun)
}

// settle waits until nothing is in the bucket but what is wanted or reported, or
// too long. It returns what is left.
func (s *storm) settle(wanted map[string]bool) (silent []string) {
	s.Helper()
	for end := time.Now().Add(s.settling()); ; time.Sleep(time.Second) {
		if silent = s.silent(wanted); len(silent) == 0 || time.Now().After(end) {
			break
		}
	}
	for _, key := range silent {
		s.Errorf("%s is in the bucket, and nobody was told", key)
	}
	return silent
}

// settling is how long it takes until an open upload was looked for without faults:
// 36, 156 and 756 seconds after it was sent.
func (s *storm) settling() time.Duration {
	if s.lasted < 2*time.Minute {
		return 3 * time.Minute
	}
	return 15 * time.Minute
}

// silent returns the keys in the bucket that are not wanted there, and that the
// log does not report as left.
func (s *storm) silent(wanted map[string]bool) []string {
	s.Helper()
	reported := s.reported()
	return slices.DeleteFunc(s.keys(), func(key string) bool { return wanted[key] || strings.Contains(reported, key) })
}

// keys returns those of all objects, except of those with which the daemon tries
// the bucket: they hold nothing, and the next start deletes what is left of them.
func (s *storm) keys() []string {
	s.Helper()
	var keys []string
	for obj, err := range backends.All(s.ctx, s.bucket, "") {
		must(s.T, err)
		if !strings.HasPrefix(obj.Key, probePrefix) {
			keys = append(keys, obj.Key)
		}
	}
	return keys
}

// reported returns the lines of the log that report objects that may be left.
func (s *storm) reported() string {
	var lines strings.Builder
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "may be left in the bucket") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
