package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"
)

// MinIO runs a MinIO server. It keeps objects in a format of its own.
func MinIO(t testing.TB) S3 {
	t.Helper()
	return startMinIO(t, "http", t.TempDir())
}

// MinIOTLS runs a MinIO server over TLS, with a certificate from an authority
// of its own.
func MinIOTLS(t testing.TB) S3 {
	t.Helper()
	certificates := t.TempDir()
	authority := certify(t, certificates)
	s := startMinIO(t, "https", certificates)
	s.Authority = authority
	return s
}

// startMinIO runs a server that looks for its certificate in a directory. The
// module has no version but that of a commit.
func startMinIO(t testing.TB, scheme, certificates string) S3 {
	t.Helper()
	const module = "github.com/minio/minio"
	binary := GoInstall(t, module+"@v0.0.0-20260212201848-7aac2a2c5b7c", module)
	s, root := newS3(t)
	address := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
	s.URL = scheme + "://" + address
	s.Process = Start(t, Command{
		Name: "minio",
		Argv: []string{binary, "server", "--quiet", "--anonymous", "--certs-dir", certificates, "--address", address, root},
		Env: []string{"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off"},
		Ready: func(ctx context.Context) error { return ask(ctx, s.URL+"/minio/health/cluster") },
	})
	return s
}

// ask returns nil when a server of any certificate answers with 200.
func ask(ctx context.Context, url string) error {
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}
