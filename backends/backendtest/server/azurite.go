package server

import (
	"fmt"
	"path/filepath"
	"testing"
)

// AzuriteKey is the key of the one account that every Azurite has, from its
// documentation.
const AzuriteKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

// AzureServer is a server that stands in for Azure Blob Storage. It has one
// account, without containers.
type AzureServer struct {
	URL          string // of the service; the account's is URL + "/" + Account
	Account, Key string
	Data         string // the directory it keeps its data in
}

// Azurite runs an Azurite over an empty directory.
func Azurite(t testing.TB) AzureServer {
	t.Helper()
	bin := NPM(t, "azurite@3.37.0")
	port := fmt.Sprint(FreePort(t))
	data := t.TempDir()
	Start(t, Command{
		Name: "azurite",
		Argv: []string{
			filepath.Join(bin, "azurite-blob"), "--blobHost", "127.0.0.1", "--blobPort", port,
			"--location", data, "--silent", "--disableTelemetry", "--skipApiVersionCheck",
		},
		Dir:     data,
		Address: "127.0.0.1:" + port,
	})
	return AzureServer{URL: "http://127.0.0.1:" + port, Account: "devstoreaccount1", Key: AzuriteKey, Data: data}
}

// ConnectionString returns the connection string of the account, for a service
// at url: s.URL, or a proxy's.
func (s AzureServer) ConnectionString(url string) string {
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s/%s;", s.Account, s.Key, url, s.Account)
}
