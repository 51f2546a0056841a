package main

import (
	"fmt"
	"time"

	"orthanc-bucketfs/backends"
)

const (
	maxKeyID              = 1<<32 - 1
	maxConcurrentInputMiB = 1 << 20 // 1 TiB
)

// Validate expands the paths in c and reports everything that is wrong with c,
// as *configError, sorted by line. It opens no file and looks up no user.
func (c *Config) Validate(lookupEnv func(string) (string, bool)) error {
	f := faults{origin: c.origin}
	f.checkChoices(c)
	if c.RootPath != "" && backends.CheckKey("", c.RootPath) != nil {
		f.add("root_path", `write names with single slashes between them, as in "hospital/ct", or ""`,
			"%w", backends.ErrInvalidKey)
	}
	if _, _, err := splitOwner(c.Owner); err != nil {
		f.add("owner", `write "USER:GROUP" or "USER", or "" for whoever mounts`, "%w", err)
	}
	if _, _, err := splitOwner(c.User); err != nil {
		f.add("user", `write "USER:GROUP" or "USER"; "root" keeps root's rights`, "%w", err)
	}
	if n := c.Encryption.MaxConcurrentInputMiB; n < 1 || n > maxConcurrentInputMiB {
		f.add("encryption.max_concurrent_input_mib", "write a number of MiB that the memory of this machine has to spare",
			"%d is not between 1 and %d", n, maxConcurrentInputMiB)
	}
	f.checkKeys(&c.Encryption)
	f.checkMetrics(c.Metrics)
	f.checkPaths(c, lookupEnv)
	return f.err()
}

func (f *faults) checkChoices(c *Config) {
	switch c.Backend {
	case "dir":
	case "s3":
		f.require("s3.bucket", c.S3.Bucket)
	case "azure":
		f.require("azure.container", c.Azure.Container)
	case "gcs":
		f.require("gcs.bucket", c.GCS.Bucket)
	case "":
		f.add("backend", `write "s3", "azure", "gcs" or "dir"`, "is not set and has no default")
	default:
		f.add("backend", `write "s3", "azure", "gcs" or "dir"`, "is no backend")
	}
	if _, ok := parseLayout(c.Layout); !ok {
		f.add("layout", `write "legacy", or "flat" for a bucket of the plugin's that has flat names`, "is no layout")
	}
	if c.SoleWriter && c.FallbackDir != "" {
		f.add("sole_writer", "set it when all files are imported and fallback_dir is removed",
			"is true while there is a fallback_dir, from which import brings files into the bucket")
	}
	if _, ok := parseLevel(c.Log.Level); !ok {
		f.add("log.level", `write "debug", "info", "warn" or "error"`, "is no level")
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		f.add("log.format", `write "text" or "json"`, "is no format")
	}
}

// require reports the name of a bucket that is not set.
func (f *faults) require(key, name string) {
	if name == "" {
		f.add(key, "name the one to use", "is not set")
	}
}

// namedKeyFile is a master key and where in the configuration it stands.
type namedKeyFile struct {
	name string
	*KeyFile
	notAfter time.Time
}

// keyFiles returns the keys that are set, the current one first.
func (e *Encryption) keyFiles() []namedKeyFile {
	files := []namedKeyFile{{"encryption.master_key", &e.MasterKey, time.Time{}}}
	for i := range e.PreviousMasterKeys {
		files = append(files, namedKeyFile{joinIndex("encryption.previous_master_keys", i), &e.PreviousMasterKeys[i].KeyFile, e.PreviousMasterKeys[i].NotAfter})
	}
	if e.MasterKey == (KeyFile{}) {
		return files[1:]
	}
	return files
}

func (f *faults) checkKeys(e *Encryption) {
	if !e.Enable {
		for _, k := range e.keyFiles() {
			f.add(k.name, "to seal new files and read sealed ones, set enable = true; to store plaintext in a bucket "+
				"that holds nothing sealed, remove the key", "is set while encryption.enable is false")
		}
		if e.AcceptPlaintext {
			f.add("encryption.accept_plaintext", "remove it, or set enable = true to seal new files",
				"is true while encryption.enable is false, so that there is nothing else than plaintext")
		}
		return
	}
	if e.MasterKey == (KeyFile{}) {
		f.add("encryption.master_key", fmt.Sprintf("make a key with '%s keygen FILE' and write master_key = "+
			`{ id = 1, path = "FILE" }`, program), "is not set, and encryption.enable is true")
	}
	seen := make(map[int64]string)
	for _, k := range e.keyFiles() {
		f.checkKeyID(k, seen)
		if k.Path == "" {
			f.add(k.name+".path", "name the key file", "is not set")
		}
	}
}

func (f *faults) checkKeyID(k namedKeyFile, seen map[int64]string) {
	switch key := k.name + ".id"; {
	case k.ID == nil:
		f.add(key, "write the id that is inside the objects sealed with this key; for a new key, one that was never used", "is not set")
	case *k.ID < 0 || *k.ID > maxKeyID:
		f.add(key, "write the id that is inside the objects sealed with this key", "%d is not between 0 and %d", *k.ID, maxKeyID)
	case seen[*k.ID] != "":
		f.add(key, "give every key the id it was first used with", "%d is the id of %s, too", *k.ID, seen[*k.ID])
	default:
		seen[*k.ID] = k.name
	}
}

func (f *faults) checkPaths(c *Config, lookupEnv func(string) (string, bool)) {
	mountpoint := f.expandPath("mountpoint", &c.Mountpoint, lookupEnv)
	var bucket, local, fallback place
	if c.Backend == "dir" {
		bucket = f.expandPath("dir.path", &c.Dir.Path, lookupEnv)
	}
	if c.LocalDir != "" {
		local = f.expandPath("local_dir", &c.LocalDir, lookupEnv)
	}
	if c.FallbackDir != "" {
		fallback = f.expandPath("fallback_dir", &c.FallbackDir, lookupEnv)
	}
	if c.StateDir != "" {
		state := f.expandPath("state_dir", &c.StateDir, lookupEnv)
		f.keepOut(state, mountpoint, "it would be out of reach once the bucket is mounted")
		f.keepOut(state, bucket, "its files would be taken for objects")
		f.keepOut(state, local, "whoever can use the mount could change it")
	}
	f.keepApart(bucket, mountpoint, "the daemon would wait for itself")
	f.keepApart(local, mountpoint, "the daemon would wait for itself")
	f.keepApart(local, bucket, "local files and objects would be taken for each other")
	f.keepApart(fallback, mountpoint, "the daemon would wait for itself")
	f.keepApart(fallback, bucket, "objects would be taken for plain files")
	if fallback.relation(local) != isSame { // an old StorageDirectory with the index in it serves as both
		f.keepApart(fallback, local, "local files and attachments would be taken for each other")
	}
	for key, path := range map[string]*string{
		"s3.secret_key_file":           &c.S3.SecretKeyFile,
		"s3.ca_certificates":           &c.S3.CACertificates,
		"azure.connection_string_file": &c.Azure.ConnectionStringFile,
		"gcs.service_account_file":     &c.GCS.ServiceAccountFile,
	} {
		if *path != "" {
			f.keepOut(f.expandPath(key, path, lookupEnv), mountpoint, "it would be out of reach once the bucket is mounted")
		}
	}
	for _, k := range c.Encryption.keyFiles() {
		if k.Path == "" {
			continue
		}
		file := f.expandPath(k.name+".path", &k.KeyFile.Path, lookupEnv)
		f.keepOut(file, mountpoint, "it would be out of reach once the bucket is mounted")
		f.keepOut(file, bucket, "whoever has the bucket would have the key")
		f.keepOut(file, local, "whoever can use the mount would have the key")
	}
}
