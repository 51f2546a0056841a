package httpconn

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
)

// exchangeOnce sends one request through an observed transport.
func exchangeOnce(t *testing.T, handle http.HandlerFunc, method, body string) (told []backends.Request, answer string, err error) {
	t.Helper()
	store := httptest.NewServer(handle)
	defer store.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: Observe(transport, func(r backends.Request) { told = append(told, r) })}
	req, err := http.NewRequest(method, store.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return told, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return told, string(text), err
}

func TestObserveTellsOnce(t *testing.T) {
	told, answer, err := exchangeOnce(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	}, http.MethodPut, "tea")
	if err != nil || answer != "short and stout" {
		t.Fatalf("answer %q, error %v", answer, err)
	}
	if len(told) != 1 {
		t.Fatalf("told %d times", len(told))
	}
	got := told[0]
	if got.Method != "PUT" || got.Status != http.StatusTeapot || got.Sent != 3 || got.Received != 15 || got.Err != nil || got.Duration <= 0 {
		t.Errorf("told %+v", got)
	}
}

func TestObserveTellsOfAnAnswerWithoutBody(t *testing.T) {
	told, _, err := exchangeOnce(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, http.MethodHead, "")
	if err != nil || len(told) != 1 || told[0].Status != http.StatusNotFound || told[0].Method != "HEAD" {
		t.Errorf("told %+v, error %v", told, err)
	}
}

func TestObserveTellsOfWhatBreaks(t *testing.T) {
	hangUp := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
		}
		conn.Close()
	}
	told, _, err := exchangeOnce(t, hangUp, http.MethodGet, "")
	if err == nil || len(told) != 1 || told[0].Err == nil || told[0].Status != http.StatusOK || told[0].Received != 4 {
		t.Errorf("a broken body: told %+v, error %v", told, err)
	}
	told, _, err = exchangeOnce(t, hangUp, http.MethodPost, "x")
	if err == nil || len(told) != 1 || told[0].Err == nil || told[0].Status != 0 {
		t.Errorf("no answer: told %+v, error %v", told, err)
	}
}
