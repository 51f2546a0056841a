package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

func watched(t *testing.T) (*Metrics, Sources) {
	t.Helper()
	key, err := crypto.NewMasterKey(7, []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.NewKeyRing(key)
	if err != nil {
		t.Fatal(err)
	}
	s := Sources{
		Budget:   budget.New(1<<20, time.Minute),
		Counters: new(attachment.Counters),
		Keys:     func() *crypto.KeyRing { return ring },

		LogDropped: func() uint64 { return 5 },
		Away:       away(false, true),
	}
	m := New(Build{Version: "v1", Commit: "c0ffee"})
	m.Watch(s)
	return m, s
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d", answer.Code)
	}
	return answer.Body.String()
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no line %q", line)
		}
	}
}

func TestWhatIsCounted(t *testing.T) {
	m, s := watched(t)
	m.Operation(attachment.Operation{Kind: attachment.Stored, Size: 1000, Duration: 3 * time.Millisecond})
	m.Operation(attachment.Operation{Kind: attachment.Fetched, Size: 10, FromMemory: true})
	m.Operation(attachment.Operation{Kind: attachment.Fetched, Err: fmt.Errorf("open: %w", crypto.ErrCorrupt)})
	m.Operation(attachment.Operation{Kind: attachment.Deleted, Err: errors.New("outage")})
	m.Request(backends.Request{Method: "PUT", Status: 503, Sent: 1086})
	m.Request(backends.Request{Method: "PUT", Status: 200, Sent: 1086, Retry: true})
	m.Request(backends.Request{Method: "GET", Err: context.DeadlineExceeded, Received: 5})
	s.Counters.OrphansLeft.Add(2)
	s.Counters.OtherWriters.Add(1)
	s.Counters.Open.Add(3)
	s.Counters.Unsettled.Add(4)
	claim := s.Budget.Claim(budget.Read)
	if err := claim.Grow(t.Context(), 4096); err != nil {
		t.Fatal(err)
	}
	wantLines(t, scrape(t, m),
		`orthanc_bucketfs_operations_total{kind="store",outcome="ok"} 1`,
		`orthanc_bucketfs_operations_total{kind="read",outcome="ok"} 1`,
		`orthanc_bucketfs_operations_total{kind="read",outcome="corrupt"} 1`,
		`orthanc_bucketfs_operations_total{kind="delete",outcome="error"} 1`,
		`orthanc_bucketfs_operation_duration_seconds_bucket{kind="store",le="0.005"} 1`,
		`orthanc_bucketfs_operation_duration_seconds_bucket{kind="store",le="0.0025"} 0`,
		`orthanc_bucketfs_content_bytes_total{kind="store"} 1000`,
		`orthanc_bucketfs_content_bytes_total{kind="read"} 10`,
		`orthanc_bucketfs_reads_from_memory_total 1`,
		`orthanc_bucketfs_integrity_failures_total{reason="corrupt"} 1`,
		`orthanc_bucketfs_bucket_requests_total{method="PUT",status="503"} 1`,
		`orthanc_bucketfs_bucket_requests_total{method="PUT",status="200"} 1`,
		`orthanc_bucketfs_bucket_requests_total{method="GET",status="timeout"} 1`,
		`orthanc_bucketfs_bucket_retries_total 1`,
		`orthanc_bucketfs_bucket_sent_bytes_total 2172`,
		`orthanc_bucketfs_bucket_received_bytes_total 5`,
		`orthanc_bucketfs_orphans_left_total 2`,
		`orthanc_bucketfs_other_writers_total 1`,
		`orthanc_bucketfs_log_lines_dropped_total 5`,
		`orthanc_bucketfs_open_files 3`,
		`orthanc_bucketfs_uploads_unsettled 4`,
		`orthanc_bucketfs_bucket_away{kind="read"} 0`,
		`orthanc_bucketfs_bucket_away{kind="write"} 1`,
		`orthanc_bucketfs_budget_used_bytes 4096`,
		`orthanc_bucketfs_budget_limit_bytes 1.048576e+06`,
		fmt.Sprintf(`orthanc_bucketfs_master_key_info{fingerprint="%s",id="7",role="current"} 1`, s.Keys().Current().Fingerprint()),
	)
	if !strings.Contains(scrape(t, m), `commit="c0ffee"`) {
		t.Error("the build is not told")
	}
}

// Names, units and help texts keep to the conventions of Prometheus.
func TestConventions(t *testing.T) {
	m, _ := watched(t)
	m.Operation(attachment.Operation{Kind: attachment.Stored})
	m.Operation(attachment.Operation{Kind: attachment.Stored, Err: crypto.ErrUnknownKey})
	m.Request(backends.Request{Method: "PUT", Status: 200})
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestOutcomes(t *testing.T) {
	for want, err := range map[string]error{
		"ok":          nil,
		"unknown_key": crypto.ErrUnknownKey,
		"retired_key": crypto.ErrRetiredKey,
		"corrupt":     crypto.ErrCorrupt,
		"too_large":   budget.ErrTooLarge,
		"no_memory":   budget.ErrBusy,
		"changed":     backends.ErrChanged,
		"timeout":     context.DeadlineExceeded,
		"interrupted": context.Canceled,
		"exists":      fs.ErrExist,
		"refused":     fs.ErrPermission,
		"not_found":   fs.ErrNotExist,
		"error":       errors.New("something else"),
	} {
		if err != nil {
			err = &attachment.Error{Err: fmt.Errorf("wrapped: %w", err)}
		}
		if got := outcome(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

func TestReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		var answer error
		ask := func(context.Context) error { asked++; return answer }
		m := New(Build{})
		check := func(want bool, requests int) {
			t.Helper()
			if err := m.reach.check(t.Context(), ask); (err == nil) != want || asked != requests {
				t.Errorf("got %v after %d requests, want %v after %d", err, asked, want, requests)
			}
		}
		check(true, 1) // nothing is known yet
		m.Request(backends.Request{Method: "GET", Status: 404})
		check(true, 1)
		time.Sleep(reachLately)
		answer = errors.New("no route")
		check(false, 2)
		check(false, 2) // not asked again so soon
		time.Sleep(askAtMost)
		m.Request(backends.Request{Method: "GET", Status: 503})
		m.Request(backends.Request{Method: "GET", Status: 403})
		check(false, 3)
		m.Request(backends.Request{Method: "stat", Err: fs.ErrNotExist}) // of a bucket without HTTP
		check(true, 3)
	})
}

// away is a bucket of which something is refused.
func away(read, write bool) func() (bool, bool) {
	return func() (bool, bool) { return read, write }
}

func serve(t *testing.T, m *Metrics, h Health, profiling bool) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := m.Serve(l, h, profiling, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestServer(t *testing.T) {
	m, _ := watched(t)
	well := func(context.Context) error { return nil }
	ill := func(text string) func(context.Context) error {
		return func(context.Context) error { return errors.New(text) }
	}
	answers := away(false, false)
	for _, c := range []struct {
		name         string
		health       Health
		path         string
		status       int
		want         string
		profilingToo bool
	}{
		{"metrics", Health{well, well, answers}, "/metrics", 200, "orthanc_bucketfs_build_info", false},
		{"healthy", Health{well, ill("away"), answers}, "/healthz", 200, "ok\n", false},
		{"dead mount", Health{ill("hangs"), well, answers}, "/healthz", 503, "the mount does not answer: hangs\n", false},
		{"ready", Health{well, well, answers}, "/readyz", 200, "ok\n", false},
		{"dead mount is not ready", Health{ill("hangs"), well, answers}, "/readyz", 503, "the mount does not answer: hangs\n", false},
		{"bucket away", Health{well, ill("no route"), answers}, "/readyz", 503, "the bucket does not answer: no route\n", false},
		{"healthy while all is refused", Health{well, well, away(true, true)}, "/healthz", 200, "ok\n", false},
		{"all is refused", Health{well, well, away(true, true)}, "/readyz", 503, "stores and reads are refused", false},
		{"stores are refused", Health{well, well, away(false, true)}, "/readyz", 503, "stores are refused", false},
		{"reads are refused", Health{well, well, away(true, false)}, "/readyz", 503, "reads and stores are refused", false},
		{"no profiles", Health{well, well, answers}, "/debug/pprof/heap", 404, "", false},
		{"profiles", Health{well, well, answers}, "/debug/pprof/heap", 200, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := get(t, serve(t, m, c.health, c.profilingToo)+c.path)
			if status != c.status || !strings.Contains(body, c.want) {
				t.Errorf("got %d %q, want %d %q", status, body, c.status, c.want)
			}
		})
	}
}

// What has not happened yet is told as 0, or its first time would be no increase.
func TestSeriesBeginAtZero(t *testing.T) {
	m, _ := watched(t)
	wantLines(t, scrape(t, m),
		`orthanc_bucketfs_operations_total{kind="store",outcome="ok"} 0`,
		`orthanc_bucketfs_operations_total{kind="store",outcome="error"} 0`,
		`orthanc_bucketfs_operations_total{kind="read",outcome="no_memory"} 0`,
		`orthanc_bucketfs_operation_duration_seconds_count{kind="store"} 0`,
		`orthanc_bucketfs_content_bytes_total{kind="read"} 0`,
		`orthanc_bucketfs_integrity_failures_total{reason="corrupt"} 0`,
		`orthanc_bucketfs_integrity_failures_total{reason="unknown_key"} 0`,
		`orthanc_bucketfs_integrity_failures_total{reason="retired_key"} 0`,
	)
}

// However many ask about a mount and a store that never answer, each is told so
// within seconds.
func TestReadyDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		well := func(context.Context) error { return nil }
		m := New(Build{})
		for want, h := range map[string]Health{
			"the mount does not answer":  {never, well, away(false, false)},
			"the bucket does not answer": {well, never, away(false, false)},
		} {
			began := time.Now()
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if err := m.ready(context.Background(), h); err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("got %v, want %s", err, want)
					}
				})
			}
			all.Wait()
			if took := time.Since(began); took > mountPatience+askPatience {
				t.Errorf("it took %s", took)
			}
		}
	})
}

// stuckReader is a scraper that takes nothing.
type stuckReader struct {
	http.ResponseWriter
	reached, leave chan struct{}
}

func (s stuckReader) Write(p []byte) (int, error) {
	s.reached <- struct{}{}
	<-s.leave
	return len(p), nil
}

// Nobody who counts, and no other scraper, waits for one that takes nothing.
func TestScraperThatStandsStill(t *testing.T) {
	m, s := watched(t)
	stuck := stuckReader{httptest.NewRecorder(), make(chan struct{}, 100), make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Handler().ServeHTTP(stuck, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}()
	<-stuck.reached
	m.Operation(attachment.Operation{Kind: attachment.Stored})
	m.Request(backends.Request{Method: "PUT", Status: 200})
	claim := s.Budget.Claim(budget.Read)
	if err := claim.Grow(t.Context(), 1); err != nil {
		t.Error(err)
	}
	wantLines(t, scrape(t, m), `orthanc_bucketfs_operations_total{kind="store",outcome="ok"} 1`)
	close(stuck.leave)
	<-ended
}
