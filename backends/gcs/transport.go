package gcs

import (
	"net/http"

	"orthanc-bucketfs/backends/internal/httpconn"
)

// newTransport returns the transport for requests to the service.
func newTransport(cfg Config) *http.Transport {
	return httpconn.NewTransport(httpconn.For(cfg.Limits))
}
