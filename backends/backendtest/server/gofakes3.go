package server

import (
	"fmt"
	"testing"
)

// GoFakeS3 runs a server of 2024 that ignores If-None-Match and CRC-32C, but
// verifies Content-MD5. It takes any credentials, and none.
func GoFakeS3(t testing.TB) S3 {
	t.Helper()
	const module = "github.com/johannesboyne/gofakes3"
	binary := GoInstall(t, module+"@v0.0.0-20240701191259-edd0227ffc37", module+"/cmd/gofakes3")
	s, _ := newS3(t)
	address := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
	s.URL = "http://" + address
	s.Process = Start(t, Command{
		Name:    "gofakes3",
		Argv:    []string{binary, "-backend", "memory", "-initialbucket", s.Bucket, "-host", address, "-quiet"},
		Address: address,
	})
	return s
}
