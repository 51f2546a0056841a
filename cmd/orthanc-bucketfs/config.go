package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/azure"
	"orthanc-bucketfs/backends/gcs"
	"orthanc-bucketfs/backends/s3"
)

// Config is the configuration, with the names it has in the file. It comes from
// loadConfig and has passed Validate.
type Config struct {
	Mountpoint  string       `toml:"mountpoint"`
	Backend     string       `toml:"backend"`
	RootPath    string       `toml:"root_path"`
	Layout      string       `toml:"layout"`
	Owner       string       `toml:"owner"`
	User        string       `toml:"user"`
	LocalDir    string       `toml:"local_dir"`
	FallbackDir string       `toml:"fallback_dir"`
	StateDir    string       `toml:"state_dir"`
	SoleWriter  bool         `toml:"sole_writer"`
	ReadOnly    bool         `toml:"read_only"`
	Dir         DirBackend   `toml:"dir"`
	S3          s3.Config    `toml:"s3"`
	Azure       azure.Config `toml:"azure"`
	GCS         gcs.Config   `toml:"gcs"`
	Encryption  Encryption   `toml:"encryption"`
	Log         Log          `toml:"log"`
	Metrics     Metrics      `toml:"metrics"`

	origin
	handed *handed // nil where this process reads and opens what is named above by itself
}

// DirBackend is the bucket of backend "dir".
type DirBackend struct {
	Path string `toml:"path"`
}

// Encryption says how objects are sealed.
type Encryption struct {
	Enable                bool              `toml:"enable"`
	MasterKey             KeyFile           `toml:"master_key"`
	PreviousMasterKeys    []PreviousKeyFile `toml:"previous_master_keys"`
	AcceptPlaintext       bool              `toml:"accept_plaintext"`
	MaxConcurrentInputMiB int64             `toml:"max_concurrent_input_mib"`
}

// KeyFile is a master key.
type KeyFile struct {
	ID   *int64 `toml:"id"` // 0 is a valid id, nil is none
	Path string `toml:"path"`
}

// PreviousKeyFile is a master key that seals nothing any more.
type PreviousKeyFile struct {
	KeyFile
	NotAfter time.Time `toml:"not_after"` // when the last object was stored under it; zero if that is not known
}

// Log says what is logged, and how.
type Log struct {
	Level  string `toml:"level"`
	Format string `toml:"format"`
}

// Metrics says where metrics are served, and what else is served there.
type Metrics struct {
	Listen    string `toml:"listen"`    // host:port; empty for nowhere
	Profiling bool   `toml:"profiling"` // Go's profiles, on loopback only
}

// defaultConfig returns what holds where the file is silent.
func defaultConfig() Config {
	return Config{
		Mountpoint: "/var/lib/orthanc/db",
		Layout:     "legacy",
		Owner:      "orthanc:orthanc",
		User:       "orthanc-bucketfs",
		StateDir:   "/run/orthanc-bucketfs",
		S3:         s3.DefaultConfig(),
		Azure:      azure.DefaultConfig(),
		GCS:        gcs.DefaultConfig(),
		Encryption: Encryption{
			Enable:                true,
			PreviousMasterKeys:    []PreviousKeyFile{},
			MaxConcurrentInputMiB: 1024,
		},
		Log: Log{Level: "info", Format: "text"},
	}
}

// loadConfig reads, decodes and validates a file. Its errors are *configError,
// joined and sorted by line if there are several.
func loadConfig(file string, lookupEnv func(string) (string, bool)) (Config, error) {
	text, mode, err := readFile(file)
	if err != nil {
		return Config{}, &configError{file: file, err: withoutPath(err), remedy: "name a file that can be read with --config FILE"}
	}
	cfg, err := parseConfig(file, string(text), lookupEnv)
	cfg.origin.mode = mode
	return cfg, err
}

// parseConfig is loadConfig for what has been read already.
func parseConfig(file, text string, lookupEnv func(string) (string, bool)) (Config, error) {
	cfg, err := decodeConfig(file, text)
	if err != nil {
		return Config{}, err
	}
	if err := cfg.Validate(lookupEnv); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// readFile returns a file's content and the permissions it has.
func readFile(path string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	text, err := io.ReadAll(f)
	return text, info.Mode().Perm(), err
}

// exposure is empty unless others can read a secret that is in the file itself.
// It stops nothing: an upgrade that refused such a file would be an outage.
func (c Config) exposure() string {
	if c.origin.mode&0o044 == 0 || c.S3.SecretKey.IsZero() && c.Azure.ConnectionString.IsZero() {
		return ""
	}
	return fmt.Sprintf("mode %04o lets others read the secret in it: take that away with chmod 600, and get a new secret", c.origin.mode)
}

// configurationFinding tells what became of reading the configuration.
func configurationFinding(file string, cfg Config, err error) backends.Finding {
	return backends.Finding{Item: "configuration", Detail: file, Warning: cfg.exposure(), Err: err}
}

// withoutPath takes off what would repeat the name of the file.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
