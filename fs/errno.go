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

// unanswered is what a lookup says that failed with err, and would say code. Orthanc
// looks at every new name before it stores a file. At an errno that boost does not
// take for an absent file, it throws, and its C-STORE does not catch that: the
// modality has no answer for 60 s, and four such block the DICOM port. ENOTDIR is
// one that boost takes for absent. The open that follows fails, so that a store is
// refused in 0.2 s, and a read of what is stored is answered with 500 in any case
// (measured on 1.10.1, 1.12.7 and 1.13.0: TestErrnoOfStore in cmd/e2e). What is wrong with
// an object that is there, and so with no new name, keeps its errno.
func unanswered(code syscall.Errno, err error) syscall.Errno {
	switch {
	case code == syscall.EINTR,
		errors.Is(err, crypto.ErrCorrupt), errors.Is(err, crypto.ErrUnknownKey), errors.Is(err, crypto.ErrRetiredKey):
		return code
	}
	return syscall.ENOTDIR
}
