package server

import (
	"fmt"
	"path/filepath"
	"testing"
)

// Versity runs a Versity S3 Gateway, which keeps objects as files.
func Versity(t testing.TB) S3 {
	t.Helper()
	const module = "github.com/versity/versitygw"
	binary := GoInstall(t, module+"@v1.8.0", module+"/cmd/versitygw")
	s, root := newS3(t)
	address := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
	s.URL = "http://" + address
	s.Objects = filepath.Join(root, s.Bucket)
	s.Process = Start(t, Command{
		Name:    "versitygw",
		Argv:    []string{binary, "--quiet", "--keep-alive", "--port", address, "posix", root},
		Env:     []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey},
		Address: address,
	})
	return s
}
