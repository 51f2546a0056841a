package main

import (
	"errors"

	"orthanc-bucketfs/crypto"
)

// keyRing reads the key files of a configuration that has encryption enabled.
// Its errors are *configError.
func (c Config) keyRing() (*crypto.KeyRing, error) {
	if !c.Encryption.Enable {
		return nil, c.fault("encryption.enable", errors.New("is false, so there is no key"), "set it to true and configure master_key")
	}
	f := faults{origin: c.origin}
	var (
		keys []crypto.MasterKey
		ring *crypto.KeyRing
	)
	for _, file := range c.Encryption.keyFiles() {
		key, err := c.readKey(uint32(*file.ID), file.Path)
		if err != nil {
			f.add(file.name+".path", "", "%s%w", c.shownPath(file.Path), err)
			continue
		}
		keys = append(keys, key.RetiredAfter(file.notAfter))
		// A ring for each prefix of the list tells which entry is refused.
		if ring, err = crypto.NewKeyRing(keys[0], keys[1:]...); err != nil {
			f.add(file.name, "", "%w", err)
		}
	}
	return ring, f.err()
}

func (c Config) readKey(id uint32, path string) (crypto.MasterKey, error) {
	if c.handed == nil {
		return crypto.ReadKeyFile(id, path)
	}
	text, err := c.handed.read(path)
	if err != nil {
		return crypto.MasterKey{}, err
	}
	return crypto.ParseKeyText(id, path, text)
}

// shownPath is shownPath, unless the helper has said which file it is: this
// process may not be able to tell whether there is one.
func (c Config) shownPath(path string) string {
	if c.handed != nil {
		return ""
	}
	return shownPath(path)
}
