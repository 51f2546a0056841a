// Package lab runs the daemon and a stock Orthanc side by side on one machine,
// and speaks to Orthanc the way modalities and viewers do: C-STORE and REST.
// The end-to-end tests and the demo stand on it.
//
// A Site is one mount and all that belongs to it, below one directory. An
// Orthanc is one server on any directory. Both are child processes that die
// with the process that started them, and neither listens on anything but
// ports of this machine that were free.
//
// Nothing here waits for time to pass: what takes long is bounded by the
// context, and readiness is a line in a log or an answer.
package lab
