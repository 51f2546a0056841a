// Package local serves the files of a local directory as nodes of a mounted
// tree. Whoever may write to that directory, which is Orthanc's user, must not
// gain rights of the process that serves it.
//
// # Contract
//
//   - Everything is found below the open descriptor of the directory, with
//     openat2 and RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV: by the
//     names that lead from the root of the tree to the node, anew for each call.
//     Nothing is done with a path: an object is acted on through its descriptor,
//     and an entry through that of its directory and a single name.
//   - What is found must be what the node stands for, by device, inode number and
//     time of birth. The kernel has checked the caller's rights on that, with
//     default_permissions. Anything else there is ESTALE, at which the kernel
//     looks again by itself. So is a file that somebody else has just created.
//   - What is mounted somewhere below the directory is EXDEV, and its name listed.
//   - Symbolic links are shown, and made, and never followed here: the kernel
//     follows them for the caller, with the caller's rights.
//   - Regular files, directories and symbolic links can be made, nothing else, and
//     no setuid, setgid or sticky bit: EPERM. Only to the owner of the tree can a
//     file be given. There is no ioctl: ENOTTY.
//   - As root, what is made belongs to the caller. As anybody else, it belongs to
//     that user, who is shown as the owner of the tree: that is an id-mapped mount,
//     or a daemon that serves somebody else.
//   - Nothing waits for whoever else has a file: not for a lease, nor for the other
//     end of a FIFO. The kernel keeps all locks.
//   - ENOSYS is never among the answers.
//
// # Why not go-fuse's loopback file system
//
// Its LoopbackNode joins the path of its directory and the names of the node and
// hands that to the system, with the rights of the process. That serves a
// directory in which nobody has fewer rights than the process: a symbolic link in
// place of a directory leads to anywhere, and as root everything there can be made,
// removed and given away. It gives what has the name at that moment to the caller,
// not what it has made. Its LoopbackFile hands every ioctl on, with an argument
// that the caller chooses: root's ioctls can shut a file system down, and the
// argument may be an address in this process. Only its reading of an open
// directory is used here.
package local
