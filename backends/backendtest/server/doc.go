// Package server runs real object-store servers for tests, on loopback and for
// the length of one test. It is imported by tests only.
//
// A server is built or installed once, at an exact version, into a directory
// of the user's cache that all packages share. Where that cannot be done the
// test is skipped, but with CI=true in the environment it fails.
package server
