package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends"
)

// trustFindings warns of files with keys, secrets or the configuration in whose
// place somebody else can put one of his own: what is sealed with his key, he
// can read. It stops nothing, because an upgrade that did would be an outage.
func trustFindings(file string, cfg Config) []backends.Finding {
	paths := []string{file, cfg.S3.SecretKeyFile, cfg.S3.CACertificates, cfg.Azure.ConnectionStringFile, cfg.GCS.ServiceAccountFile}
	for _, key := range cfg.Encryption.keyFiles() {
		paths = append(paths, key.Path)
	}
	var findings []backends.Finding
	for _, path := range paths {
		if path == "" {
			continue
		}
		if why := replaceable(path); why != "" {
			findings = append(findings, backends.Finding{Item: "trust", Warning: shownPath(path) + why})
		}
	}
	return findings
}

// replaceable says who else can replace the file that path leads to, or the
// links on the way, empty if nobody. A file that is missing is somebody else's
// matter.
func replaceable(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	if why := ownedByOther(real); why != "" {
		return why
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(real)} {
		for ; ; dir = filepath.Dir(dir) {
			if why := writableByOther(dir); why != "" {
				return why
			}
			if dir == "/" {
				break
			}
		}
	}
	return ""
}

func ownedByOther(path string) string {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Uid == 0 || st.Uid == uint32(os.Geteuid()) {
		return ""
	}
	return fmt.Sprintf("it belongs to user %d, who can change it: give it to root, or to the user of this process", st.Uid)
}

// writableByOther takes a sticky directory for a safe one: there, nobody can
// take away what is another's.
func writableByOther(dir string) string {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return ""
	}
	if why := ownedByOther(dir); why != "" {
		return "in " + dir + " somebody else can replace it: " + why
	}
	others := st.Mode&unix.S_IWOTH != 0 || st.Mode&unix.S_IWGRP != 0 && st.Gid != 0 && st.Gid != uint32(os.Getegid())
	if !others || st.Mode&unix.S_ISVTX != 0 {
		return ""
	}
	return fmt.Sprintf("in %s, which has mode %04o, others can replace it: take that away with chmod go-w", dir, st.Mode&0o7777)
}
