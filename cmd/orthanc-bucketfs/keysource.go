package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"orthanc-bucketfs/crypto"
)

const defaultConfigFile = "/etc/orthanc-bucketfs/config.toml"

// addConfigFlag adds the flag that names the configuration file.
func addConfigFlag(flags *flag.FlagSet) *string {
	return flags.String("config", defaultConfigFile, "the configuration `FILE`; by default "+defaultConfigFile)
}

// keySource is where a command that works without a bucket has its keys from.
type keySource struct {
	flags  *flag.FlagSet
	config *string
	keys   keyFlags
}

func addKeySource(flags *flag.FlagSet) *keySource {
	s := &keySource{flags: flags, config: addConfigFlag(flags)}
	flags.Var(&s.keys, "key", "instead of a configuration: a master key, as `ID=FILE`")
	return s
}

// open returns the keys and the limit for the size of a file.
func (s *keySource) open(c *call) (*crypto.KeyRing, sizeLimit, error) {
	if len(s.keys) == 0 {
		return openConfiguredKeys(*s.config, c.lookupEnv)
	}
	if s.configGiven() {
		return nil, sizeLimit{}, usagef("%s: --config and --key exclude each other; leave one out", c.name)
	}
	keys, err := s.keys.open()
	if err != nil {
		return nil, sizeLimit{}, usagef("%s: --key: %w", c.name, err)
	}
	limit := sizeLimit{
		mib:    defaultConfig().Encryption.MaxConcurrentInputMiB,
		remedy: "use --config, and raise encryption.max_concurrent_input_mib there",
	}
	return keys, limit, nil
}

func (s *keySource) configGiven() (given bool) {
	s.flags.Visit(func(f *flag.Flag) { given = given || f.Name == "config" })
	return given
}

func openConfiguredKeys(file string, lookupEnv func(string) (string, bool)) (*crypto.KeyRing, sizeLimit, error) {
	cfg, err := loadConfig(file, lookupEnv)
	if err != nil {
		return nil, sizeLimit{}, err
	}
	keys, err := cfg.keyRing()
	if err != nil {
		return nil, sizeLimit{}, err
	}
	limit := sizeLimit{
		mib:    cfg.Encryption.MaxConcurrentInputMiB,
		remedy: "raise encryption.max_concurrent_input_mib in " + file,
	}
	return keys, limit, nil
}

// keyFlags collects the uses of --key. What is wrong with one is found when it
// is opened: package flag would repeat it.
type keyFlags []string

func (k *keyFlags) String() string { return "" }

func (k *keyFlags) Set(value string) error {
	*k = append(*k, value)
	return nil
}

func (k keyFlags) open() (*crypto.KeyRing, error) {
	var keys []crypto.MasterKey
	for _, value := range k {
		text, path, ok := strings.Cut(value, "=")
		id, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || path == "" {
			return nil, errors.New("write ID=FILE, with an ID from 0 to 4294967295")
		}
		key, err := crypto.ReadKeyFile(uint32(id), path)
		if err != nil {
			return nil, fmt.Errorf("id %d: %s%w", id, shownPath(path), err)
		}
		keys = append(keys, key)
	}
	return crypto.NewKeyRing(keys[0], keys[1:]...)
}
