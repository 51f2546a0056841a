package gcs

import (
	"net/http"
	"time"

	"orthanc-bucketfs/backends/internal/httpconn"
)

// newTransport returns the transport for requests to the service.
func newTransport(cfg Config) *http.Transport {
	return httpconn.NewTransport(httpconn.Limits{
		Connect:     time.Duration(cfg.ConnectionTimeout) * time.Second,
		Idle:        time.Duration(cfg.RequestTimeout) * time.Second,
		Connections: cfg.MaxConnections,
	})
}
