// Package fs is the mounted tree: AA/BB/uuid, as Orthanc lays it out, on top of
// an attachment.Store. Whatever is not an attachment, or a directory of the
// layout, lives in a local directory, if one is configured.
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
//
// # Who may close a file
//
// The kernel flushes a handle whenever any of its descriptors is closed, also
// those that a fork or a dup made. A flush by another process than the one that
// created the file is ignored while that one has the file open, so that a child
// which was forked in the middle of a store and exits does not commit half a
// file. A flush by a process that is being killed discards the file: nobody
// finished it, and nobody was told that it is stored.
//
// # Locks
//
// tree.mu and attachmentNode.mu are leaves: nothing else is locked, and no
// request is made, while one of them is held.
package fs
