// Package fs is the mounted tree: AA/BB/uuid, as Orthanc lays it out, on top of
// an attachment.Store. Whatever is not an attachment, or a directory of the
// layout, lives in a local directory, if one is configured: see package local.
//
// # Contract
//
//   - AA and AA/BB always exist; looking at them costs no request.
//   - An attachment is created, read and deleted; nothing else. It is committed
//     at fsync or fdatasync, or else, if it is still dirty, at flush (close).
//     Errors stick to the handle. A write is taken whole or refused. Where the
//     kernel gathers writes, it takes them, and fsync or close refuses: see
//     cached.go for what that means, and why it is done.
//   - Every failure to read is reported by open. After it, read cannot fail.
//   - An inode is one version of an attachment, so that its size never changes.
//     Versions share the inode number and differ in the generation. So does the
//     inode through which a version was written, if the kernel gathered its
//     writes.
//   - Commits and deletes do not end with a signal to the caller.
//   - Each failure is logged once, where it becomes an errno, and ENOSYS is
//     never among the answers: after one ENOSYS to fsync or flush the kernel
//     would not send either again, and report success in our place.
//   - A panic in a call is logged with its stack and answered with EIO.
//   - A signal ends no call, unless it kills the caller. Of one that cannot be
//     seen, a wait ends at its deadline.
//   - The kernel knows about 20,000 attachments at most: see nodes.go.
//
// # Who may close a file
//
// The kernel flushes a handle whenever any of its descriptors is closed, also
// those that a fork or a dup made. The author of a file is the table of open files
// that the last write came from, as the kernel's lock owner tells in every
// namespace and without any rights. A gathered write does not tell: until one does,
// the author is the process that created the file, which must be visible for writes
// to be gathered. A flush that is not by the author is ignored while the author's
// own is still to come, so that a child which was forked in the middle of a store
// and exits does not commit half a file.
//
// A flush commits, but is not final: a write after it continues the file, and the
// next commit replaces just that version. An fsync is final. Readers of what a
// flush has committed have another inode than the writer.
//
// A flush by a process that is being killed discards what nothing has committed:
// nobody finished it, and nobody was told that it is stored. Only then is the
// caller looked at, and never in a way that could wait for it: see caller.go. Of a
// program of several threads that exits, all but one look as if they were killed,
// so that a file may be discarded that it neither synced nor closed. A caller in
// another process namespace is taken for killed if a signal is pending, and is not
// if it crashed by one that it raised itself.
//
// # Locks
//
// tree.mu, attachmentNode.mu, nodes.mu and writeHandle.mu are leaves: nothing else
// is locked, and no request is made, while one of them is held. writeHandle.order is
// held during a commit or a reopening, and no lookup, create or unlink waits for it.
package fs
