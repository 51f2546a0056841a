package s3

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
)

// A container's endpoint for credentials that takes a request and stays silent
// holds no call longer than request_timeout.
func TestSilentCredentialEndpoint(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", silent.URL)
	for op, call := range calls {
		// A bucket each: calls of one share the request, and its failure after 3 s.
		b := fake(t, refuse(http.StatusForbidden, ""), func(cfg *Config) {
			cfg.AccessKey, cfg.SecretKey = "", backends.Secret{}
			cfg.RequestTimeout, cfg.MaxRetries = 1, 3
		})
		if err := call(t.Context(), b); !errors.Is(err, httpconn.ErrStalled) {
			t.Errorf("%s: got error %v", op, err)
		}
	}
}
