// Package logqueue stands between those who log and whoever reads the log: a
// pipe, a terminal, the journal, a file. Nobody who logs ever waits for that
// reader.
//
// # Contract
//
//   - Write takes a line, copies it, and returns at once: it neither waits for
//     the reader nor fails. What one Write is given is one line, written whole
//     and in order, or not at all.
//   - The queue is bounded in lines and in bytes. When it is full, the newest
//     lines are dropped and counted, until half of it is written; then one line
//     tells how many were dropped, at the place where they would have been.
//   - A line that cannot be written (the reader is gone, the disk is full) is
//     counted as dropped, and the next one is tried all the same.
//   - Only the queue's own goroutine waits for the reader, and no lock is held
//     meanwhile.
//   - Close waits for what is in the queue, but never longer than it is told.
//
// The signal SIGPIPE, which a write to a standard stream without a reader
// brings with it, is for the program to ignore.
package logqueue
