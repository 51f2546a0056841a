package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
)

// OrthancConfig says how an Orthanc is to run. What it does not mention is as
// in Debian's configuration, but for the answer to odd files (all are taken)
// and the storage cache (none, so that every read reaches the storage).
type OrthancConfig struct {
	Dir       string // where its configuration file goes
	Storage   string // StorageDirectory
	Index     string // IndexDirectory
	HTTPPort  int
	DICOMPort int
	Sync      bool // SyncStorageArea: fdatasync after each file
	Compress  bool // StorageCompression: zlib, and a second file for each instance

	Root    string         // the Debian whose Orthanc it is (see Debian); this machine's if empty
	Plugins []string       // their files, as that Debian has them
	More    map[string]any // further settings, which prevail
}

// Orthanc is a running server.
type Orthanc struct {
	*Process
	URL       string
	DICOMPort int
	http      *http.Client
}

// StartOrthanc starts a stock Orthanc and returns when it answers.
func StartOrthanc(ctx context.Context, cfg OrthancConfig) (*Orthanc, error) {
	path, err := cfg.write()
	if err != nil {
		return nil, err
	}
	p, err := start("Orthanc", inside(cfg.Root, []string{cfg.Dir, cfg.Storage, cfg.Index}, orthancBinary, path)...)
	if err != nil {
		return nil, err
	}
	o := &Orthanc{
		Process:   p,
		URL:       fmt.Sprintf("http://127.0.0.1:%d", cfg.HTTPPort),
		DICOMPort: cfg.DICOMPort,
		// Orthanc closes connections that were idle for a second, whether or
		// not a request is on its way.
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	if err := p.Await(ctx, "Orthanc has started"); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	if _, err := o.Statistics(ctx); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return o, nil
}

func (c OrthancConfig) write() (string, error) {
	text, err := json.MarshalIndent(c.settings(), "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.Dir, "orthanc.json")
	return path, os.WriteFile(path, text, 0o600)
}

// settings are named as in Orthanc's own configuration.
func (c OrthancConfig) settings() map[string]any {
	settings := map[string]any{
		"Name":                    "orthanc-bucketfs",
		"StorageDirectory":        c.Storage,
		"IndexDirectory":          c.Index,
		"SyncStorageArea":         c.Sync,
		"StorageCompression":      c.Compress,
		"MaximumStorageCacheSize": 0,
		"Plugins":                 append([]string{}, c.Plugins...),
		"HttpPort":                c.HTTPPort,
		"HttpThreadsCount":        50,
		"RemoteAccessAllowed":     false,
		"AuthenticationEnabled":   false,
		"WebDavEnabled":           false,
		"DicomPort":               c.DICOMPort,
		"DicomAlwaysAllowStore":   true,
		"UnknownSopClassAccepted": true,
		"OverwriteInstances":      false,
	}
	maps.Copy(settings, c.More)
	return settings
}
