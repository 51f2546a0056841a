// Package memory holds the contents of files outside the Go heap.
//
// # Contract
//
// A Buffer is one contiguous piece of anonymous memory, so that a file can be
// sealed and unsealed where it lies, with headroom before and tailroom after
// the content. It grows by remapping pages, without a copy. Every byte of
// content is covered by a budget.Claim before it is touched. The pages are left
// out of core dumps.
//
// Buffers come from a Pool. The memory of a small one that is freed stays with
// the Pool for a moment, lent as in package budget, because it costs more to
// have the system clear new pages than to copy a file into them; then it goes
// back to the system, as that of a large one does at once. What a Buffer has had
// from others is never seen: content that was not written is zero, or, where a
// method says so, for the caller to fill before anybody sees it.
package memory
