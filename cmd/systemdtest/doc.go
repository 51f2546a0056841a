// Package systemdtest holds the tests of the Debian package and of its units
// under a real systemd: a Debian with a stock Orthanc is booted from a folder,
// in namespaces of its own, without a container engine.
//
// The tests need root, /dev/fuse and Debian's packages debootstrap, fish,
// python3-pydicom and zsh. Without them they skip, but fail where the environment says
// CI=true. The Debian is made once, with the apt sources of this machine, and
// kept in the user's cache; every machine that is booted is a copy of it.
package systemdtest
