package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"syscall"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/budget"
)

// errno is the only place where an error becomes an errno. What it does not
// know is EIO: never ENOENT, which would mean that an image is lost, and never
// ENOSYS.
func errno(err error) syscall.Errno {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, crypto.ErrUnknownKey):
		return syscall.ENOKEY
	case errors.Is(err, crypto.ErrRetiredKey):
		return syscall.EKEYEXPIRED
	case errors.Is(err, crypto.ErrCorrupt):
		return syscall.EIO
	case errors.Is(err, budget.ErrTooLarge):
		return syscall.EFBIG
	case errors.Is(err, budget.ErrBusy):
		return syscall.ENOMEM
	case errors.Is(err, backends.ErrChanged):
		return syscall.ESTALE
	case errors.Is(err, attachment.ErrCommitted):
		return syscall.EPERM
	case errors.Is(err, attachment.ErrDeleted):
		return syscall.ENOENT
	case errors.Is(err, context.DeadlineExceeded):
		return syscall.EIO
	case errors.Is(err, context.Canceled):
		return syscall.EINTR
	case errors.Is(err, iofs.ErrExist):
		return syscall.EEXIST
	case errors.Is(err, iofs.ErrPermission):
		return syscall.EACCES
	case errors.Is(err, iofs.ErrNotExist):
		return syscall.ENOENT
	default:
		return syscall.EIO
	}
}
