package systemdtest

import (
	"os"
	"os/exec"
	"path/filepath"
)

// Where things are in a machine.
const (
	mountpoint = "/var/lib/orthanc/db"
	index      = "/var/lib/orthanc/index"
	bucket     = "/srv/orthanc-bucket"
	etc        = "/etc/orthanc-bucketfs"
	key        = etc + "/master-1.key"
	config     = etc + "/config.toml"
)

// orthancConfig is for one machine what an administrator changes in Debian's.
// No cache, so that every read reaches the storage.
const orthancConfig = `{
  "StorageDirectory": "` + mountpoint + `",
  "IndexDirectory": "` + index + `",
  "MaximumStorageCacheSize": 0,
  "AuthenticationEnabled": false,
  "RemoteAccessAllowed": false,
  "OverwriteInstances": false
}
`

// credentialDropIn gives the daemon its key by systemd.
const credentialDropIn = `[Service]
LoadCredential=master-1.key:` + key + `
`

// siteConfig is a bucket in a directory, sealed with the credential.
const siteConfig = `backend = "dir"
[dir]
path = "` + bucket + `"
[encryption]
master_key = { id = 1, path = "$CREDENTIALS_DIRECTORY/master-1.key" }
`

// siteConfigOfRoot is the same bucket, sealed with the key file itself.
const siteConfigOfRoot = `backend = "dir"
[dir]
path = "` + bucket + `"
[encryption]
master_key = { id = 1, path = "` + key + `" }
`

// install installs a version of the package and returns what that printed.
func (m *machine) install(version string) string {
	m.Helper()
	deb := built(m.T, version, "deb")
	file := "/var/tmp/" + filepath.Base(deb)
	if out, err := exec.Command("cp", deb, m.path(file)).CombinedOutput(); err != nil {
		m.Fatalf("cp: %v: %s", err, out)
	}
	defer os.Remove(m.path(file))
	return m.run("dpkg", "--install", file)
}

// configure follows the instructions of the package and the README, up to the
// point where the unit is enabled.
func (m *machine) configure() {
	m.Helper()
	m.run("orthanc-bucketfs", "keygen", key)
	m.run("install", "-d", "-m", "0700", bucket)
	m.run("install", "-d", "-m", "0700", "-o", "orthanc", "-g", "orthanc", index)
	m.write(config, siteConfig, 0o600)
	m.write("/etc/systemd/system/"+daemon+".d/key.conf", credentialDropIn, 0o644)
	m.write("/etc/orthanc/orthanc.json", orthancConfig, 0o644)
	m.run("systemctl", "daemon-reload")
}

// newSite returns a booted machine whose Orthanc runs on the mount.
func newSite(m *machine) {
	m.Helper()
	m.boot()
	m.run("systemctl", "stop", orthanc)
	m.install(firstVersion)
	m.configure()
	m.run("systemctl", "enable", "--now", daemon)
	m.awaitState(orthanc, "active")
	m.awaitREST()
}
