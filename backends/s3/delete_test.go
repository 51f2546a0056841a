package s3

import (
	"net/http"
	"slices"
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/backends/backendtest/server"
)

func TestDeletesOnce(t *testing.T) {
	backendtest.RunDeletesOnce(t, func(url string) (backends.Bucket, error) {
		cfg := testConfig(url)
		cfg.MaxRetries = 3
		return Open(t.Context(), cfg)
	})
}

// A store that refuses the condition of a DELETE is not sent it any more.
func TestInspectOfStoreThatRefusesConditionalDelete(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) {
		w := startWire(t, s.URL)
		w.around = func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodDelete && r.Header.Get("If-Match") != "" {
				refuse(http.StatusNotImplemented, "NotImplemented")(rw, r)
				return
			}
			next.ServeHTTP(rw, r)
		}
		b := open(t, configBehind(w, s))
		inspected(t, b, "probe-").want(t, map[string][2]string{"conditional delete": {"warn", "same UUID"}})
		if b.Conditions() != (backends.Conditions{Create: true}) {
			t.Errorf("got conditions %+v", b.Conditions())
		}
		obj, err := b.Create(t.Context(), "x", pattern(100))
		if err != nil {
			t.Fatal(err)
		}
		w.take()
		if err := b.Delete(t.Context(), "x", obj.Version); err != nil {
			t.Error(err)
		}
		if got := w.take(); !slices.Equal(got, []string{"DELETE", "HEAD"}) {
			t.Errorf("got requests %q", got)
		}
	})
}

func TestStalls(t *testing.T) {
	backendtest.RunStalls(t, func(url string) (backends.Bucket, error) {
		cfg := testConfig(url)
		cfg.MaxRetries, cfg.RequestTimeout = 3, 1
		return Open(t.Context(), cfg)
	})
}
