// Package faults holds the tests of what becomes of attachments when the
// network or the store fails: the store of package fs/attachment on every
// backend, with a real server behind a proxy that does to their exchange what
// networks and overloaded services do.
//
// Whatever happens: no wrong bytes are read, no acknowledged file is lost, every
// call ends within its deadline, errors name the object, and what is in the
// bucket is either acknowledged or has been reported.
//
// FAULTS_OPS and FAULTS_SEED in the environment make the calls of TestRandom
// more, and others; FAULTS_STORES makes the files of TestRetryStorm more.
package faults
