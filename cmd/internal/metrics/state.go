package metrics

import (
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

// Build says which program this is.
type Build struct{ Version, Commit string }

func (b Build) metric() prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with what was built as labels.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "goversion": runtime.Version()},
	})
	info.Set(1)
	return info
}

// Sources are where the state is read from at every scrape.
type Sources struct {
	Budget   *budget.Budget
	Counters *attachment.Counters
	Keys     func() *crypto.KeyRing // nil result without encryption

	LogDropped func() uint64             // lines of the log that were not written
	Away       func() (read, write bool) // what is refused because the bucket does not answer
}

// Watch adds the state of what serves the mount. It is called once.
func (m *Metrics) Watch(s Sources) {
	m.registry.MustRegister(keyInfo{s.Keys})
	m.watchBudget(s.Budget)
	m.watchFiles(s.Counters)
	m.watchBucket(s.Away)
	m.total("log_lines_dropped_total", "Lines of the log that were dropped, because whoever reads it did not take them.",
		func() float64 { return float64(s.LogDropped()) })
}

func (m *Metrics) watchBudget(b *budget.Budget) {
	m.gauge("budget_limit_bytes", "How many bytes of file contents may be in memory.",
		func() float64 { return float64(b.Limit()) })
	m.gauge("budget_used_bytes", "How many bytes of file contents are in memory.",
		func() float64 { return float64(b.Usage().Used) })
	m.gauge("budget_lent_bytes", "How many more bytes belong to files that are closed, and are given up as soon as somebody needs them.",
		func() float64 { return float64(b.Usage().Lent) })
	m.gauge("budget_waiting_files", "How many files wait for memory.",
		func() float64 { return float64(b.Usage().Waiting) })
	m.gauge("budget_oldest_wait_seconds", "How long the first of them has been waiting.",
		func() float64 { return b.Usage().OldestWait.Seconds() })
}

func (m *Metrics) watchFiles(c *attachment.Counters) {
	m.gauge("open_files", "How many attachments are open for reading.",
		func() float64 { return float64(c.Open.Load()) })
	m.gauge("written_files", "How many attachments are being written.",
		func() float64 { return float64(c.Writing.Load()) })
	m.gauge("commits_in_flight", "How many attachments are being uploaded.",
		func() float64 { return float64(c.Committing.Load()) })
	m.gauge("uploads_unsettled", "How many uploads are looked for until their time is up, because their outcome is open, or a copy of what was sent more than once may still arrive; and how many deletes that have failed are made up for.",
		func() float64 { return float64(c.Unsettled.Load()) })
	m.total("uploads_settled_total", "Uploads whose answer was lost and whose object was found whole.",
		func() float64 { return float64(c.Settled.Load()) })
	m.total("orphans_deleted_total", "Objects of failed uploads, and of deletes that had failed before, that were found and deleted.",
		func() float64 { return float64(c.OrphansGone.Load()) })
	m.total("orphans_left_total", "Failed uploads and deletes whose object may be left in the bucket.",
		func() float64 { return float64(c.OrphansLeft.Load()) })
	m.total("other_writers_total", "Files reported missing that somebody else had stored, while sole_writer was set.",
		func() float64 { return float64(c.OtherWriters.Load()) })
	m.total("failed_deletes_total", "Deletes that failed for 30 s, or were refused. Orthanc was told, and does not look; unless they were refused, they are made up for.",
		func() float64 { return float64(c.FailedDeletes.Load()) })
}

func (m *Metrics) watchBucket(away func() (read, write bool)) {
	m.bucketAway("read", func() bool { read, _ := away(); return read })
	m.bucketAway("write", func() bool { _, write := away(); return write })
}

func (m *Metrics) bucketAway(kind string, away func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "bucket_away",
		Help:        "1 while what reads the bucket, or writes to it, is refused at once because it does not answer; else 0.",
		ConstLabels: prometheus.Labels{"kind": kind},
	}, func() float64 {
		if away() {
			return 1
		}
		return 0
	}))
}

func (m *Metrics) gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, read))
}

func (m *Metrics) total(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, read))
}

// keyInfo tells which master keys are in use. The ring may be replaced.
type keyInfo struct{ ring func() *crypto.KeyRing }

func (k keyInfo) desc() *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_master_key_info", "1 for every master key in use; the current one seals new files.",
		[]string{"id", "fingerprint", "role"}, nil)
}

func (k keyInfo) Describe(out chan<- *prometheus.Desc) { out <- k.desc() }

func (k keyInfo) Collect(out chan<- prometheus.Metric) {
	ring := k.ring()
	if ring == nil {
		return
	}
	role := "current"
	for _, key := range ring.Keys() {
		id := strconv.FormatUint(uint64(key.ID()), 10)
		out <- prometheus.MustNewConstMetric(k.desc(), prometheus.GaugeValue, 1, id, key.Fingerprint(), role)
		role = "previous"
	}
}
