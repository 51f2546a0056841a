// Package e2e holds the end-to-end tests: a stock Orthanc of Debian on a real
// mount of a sealed bucket, fed with real DICOM files.
//
// The tests need root or access to /dev/fuse, and Debian's packages fuse3,
// orthanc, dcmtk and python3-pydicom. Without them they skip, but fail where
// the environment says CI=true.
package e2e
