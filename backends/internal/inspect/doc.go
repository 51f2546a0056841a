// Package inspect holds what the examinations of the providers have in common:
// the way to a store (name, connection, TLS, clock), what a store does with an
// object of the examination's own, and what it shows to everybody.
//
// An examination is a list of steps. Each has a deadline of its own, and one
// that fails explains those after it, which are reported as skipped. Errors say
// what is wrong and what to do; they hold no URL, which may be a credential.
package inspect
