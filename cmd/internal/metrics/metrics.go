// Package metrics counts what a mount does, for Prometheus, and answers whether
// it is well.
//
// No label has values without bound: neither keys of objects nor anything that
// comes from a file is ever among them. Names and meanings of the metrics are an
// interface that dashboards and alerts rely on.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/fs/attachment"
)

const namespace = "orthanc_bucketfs"

// Metrics is what one process counts. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	reach    *reach

	operations *prometheus.CounterVec   // by kind, outcome
	durations  *prometheus.HistogramVec // by kind
	content    *prometheus.CounterVec   // by kind
	fromMemory prometheus.Counter
	integrity  *prometheus.CounterVec // by reason

	requests         *prometheus.CounterVec   // by method, status
	requestDurations *prometheus.HistogramVec // by method
	retries          prometheus.Counter
	sent, received   prometheus.Counter
}

// New returns Metrics that have counted nothing yet.
func New(build Build) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		reach:    newReach(),
		operations: counters("operations_total",
			"Operations on attachments that have ended, by kind and outcome.", "kind", "outcome"),
		durations: histograms("operation_duration_seconds", "How long operations on attachments took, waiting included.", "kind"),
		content:   counters("content_bytes_total", "Bytes of attachments stored and read, as files.", "kind"),
		fromMemory: counter("reads_from_memory_total",
			"Attachments that were opened without a request of their own, because they had just been read."),
		integrity: counters("integrity_failures_total",
			"Objects that were refused because they do not open under the configured keys, by reason.", "reason"),
		requests: counters("bucket_requests_total",
			"Requests to the store, repetitions included, by method and HTTP status, or outcome where there is none.", "method", "status"),
		requestDurations: histograms("bucket_request_duration_seconds",
			"How long requests to the store took, to the last byte of the answer.", "method"),
		retries:  counter("bucket_retries_total", "Requests to the store that repeated one before."),
		sent:     counter("bucket_sent_bytes_total", "Bytes in the bodies of requests to the store."),
		received: counter("bucket_received_bytes_total", "Bytes in the bodies of the store's answers."),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.operations, m.durations, m.content, m.fromMemory, m.integrity,
		m.requests, m.requestDurations, m.retries, m.sent, m.received,
		build.metric(),
	)
	m.beginAtZero()
	return m
}

// beginAtZero makes every series exist whose labels are known: Prometheus does
// not see the first failure as an increase if the series begins with it.
func (m *Metrics) beginAtZero() {
	for _, kind := range kinds() {
		m.durations.WithLabelValues(string(kind))
		for _, outcome := range outcomes() {
			m.operations.WithLabelValues(string(kind), outcome)
		}
	}
	for _, kind := range []attachment.Kind{attachment.Stored, attachment.Fetched} {
		m.content.WithLabelValues(string(kind))
	}
	for _, outcome := range outcomes() {
		if isIntegrity(outcome) {
			m.integrity.WithLabelValues(outcome)
		}
	}
}

func kinds() []attachment.Kind {
	return []attachment.Kind{attachment.Looked, attachment.Fetched, attachment.Stored, attachment.Deleted, attachment.Listed}
}

// Operation counts an operation on attachments. It is for attachment.Options.
func (m *Metrics) Operation(op attachment.Operation) {
	outcome := outcome(op.Err)
	m.operations.WithLabelValues(string(op.Kind), outcome).Inc()
	m.durations.WithLabelValues(string(op.Kind)).Observe(op.Duration.Seconds())
	if isIntegrity(outcome) {
		m.integrity.WithLabelValues(outcome).Inc()
	}
	if op.Err != nil {
		return
	}
	if op.Kind == attachment.Stored || op.Kind == attachment.Fetched {
		m.content.WithLabelValues(string(op.Kind)).Add(float64(op.Size))
	}
	if op.FromMemory {
		m.fromMemory.Inc()
	}
}

// Request counts a request to the store. It is a backends.Observer.
func (m *Metrics) Request(r backends.Request) {
	m.requests.WithLabelValues(r.Method, status(r)).Inc()
	m.requestDurations.WithLabelValues(r.Method).Observe(r.Duration.Seconds())
	m.sent.Add(float64(r.Sent))
	m.received.Add(float64(r.Received))
	if r.Retry {
		m.retries.Inc()
	}
	if answered(r) {
		m.reach.reached(time.Now())
	}
}

// status is the label of how a request ended: with an HTTP status, or, where
// there is none, as an operation does.
func status(r backends.Request) string {
	if r.Status != 0 {
		return strconv.Itoa(r.Status)
	}
	return outcome(r.Err)
}

// Handler serves the metrics in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// durationBuckets reach from an answer out of memory to an upload of a gigabyte.
func durationBuckets() []float64 {
	return []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: durationBuckets(),
	}, labels)
}
