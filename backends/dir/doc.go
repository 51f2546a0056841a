// Package dir keeps a bucket in a local directory: the object under key is
// the regular file at that path.
//
// The directory belongs to the bucket. It must lie on one local file system
// with hard links, flock(2) and modification times in nanoseconds (ext4, xfs,
// btrfs, zfs, tmpfs). Files are made with mode 0600 and directories with 0700,
// less the umask, so all processes that share the bucket run as one user.
//
// # Create
//
// The body goes to a temporary file in the private directory
// .orthanc-bucketfs-tmp and is synced; link(2) then gives it its final name,
// which fails if the name is taken; last, the directory of the name is synced.
// Every directory above it has been synced before. If the last sync fails the
// name is taken away again, so that nobody takes an object for durable that
// is not.
//
// A temporary file is locked with flock(2) while it is written. Open removes
// those that nobody holds: what killed processes have left behind.
//
// # Replace and Delete
//
// A temporary file takes over the name with rename(2), which cannot be made to
// depend on what the name stands for. Whoever replaces or deletes an object holds
// a lock on its file meanwhile (F_OFD_SETLK of fcntl(2)), looks at its version
// again, and finds another file there if somebody was faster. A file that this
// process may not write to cannot be locked, and so not be replaced, either.
//
// # After a call
//
// Nothing of a call goes on when it has returned: each does its work itself, one
// system call after the other. If the process is killed, the system call that is
// under way may still be carried out, and none after it.
//
// # Names
//
// Beyond what package backends refuses, a key is invalid if it has a NUL byte
// or an element of more than 255 bytes, or if its first element is
// .orthanc-bucketfs-tmp, or lost+found, which belongs to the file system.
//
// A key and a key below it, as "a" and "a/b", exclude each other: Create of
// the second fails with an error that wraps syscall.ENOTDIR or syscall.EISDIR
// and is neither io/fs.ErrExist nor io/fs.ErrNotExist. Directories stay when
// their last object goes; listings do not show them.
//
// What is neither a regular file nor a directory is not an object. A symbolic
// link is never followed. An object looked for behind one is an error of its
// own, since the bucket cannot tell whether it is missing.
//
// If the directory of the bucket itself is removed, nothing says any more what
// it held: looking for an object is then an error of its own, too.
//
// # Limits
//
// A system call under way cannot be interrupted: a cancelled call ends after
// the read, write or sync of at most 16 MiB. A listing reads each directory it
// visits whole.
package dir
