// Package backendtest proves the promises of package backends. It is imported
// by tests only.
//
//   - Run holds a bucket to every promise, one named subtest each.
//   - Mem is the reference implementation, in memory.
//   - Faulty stands around any bucket, counts its calls and makes them fail as
//     its rules say.
package backendtest
