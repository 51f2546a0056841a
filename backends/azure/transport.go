package azure

import (
	"net/http"
	"time"

	"orthanc-bucketfs/backends/internal/httpconn"
)

// newTransport returns the transport for requests to the service.
func newTransport(pool *httpconn.Pool) *http.Transport {
	transport := httpconn.NewTransport(pool)
	transport.ExpectContinueTimeout = time.Second // the SDK asks first when the service is busy
	return transport
}
