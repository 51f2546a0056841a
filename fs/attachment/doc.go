// Package attachment stores Orthanc's attachments in a bucket, without a
// mount: UUID to object key, sealing, admission, commit and settlement. The
// mounted tree and the batch commands stand on the same Store.
//
// # Contract
//
//   - An attachment is write-once. It is written into memory by one Writer,
//     becomes an object at Commit, and is read and deleted as a whole.
//   - Commit returns nil if and only if the sealed object can be read back from
//     the bucket. It does not end with its caller's context: it has a deadline
//     of its own that grows with the size. A Writer that failed once stays
//     failed and never uploads.
//   - Reopen goes on with what was committed. That is there until the next Commit
//     replaces just that version, and stays if that fails; it is never deleted.
//   - When the outcome of an upload is unknown, Commit settles it: the object
//     is read back and compared. If that is impossible, Commit fails, and the
//     object is looked for, and deleted, in the background; one that cannot be
//     ruled out in the end is logged and counted.
//   - Delete removes the version that was looked at, as far as that is known. What it
//     could not remove is removed in the background, if it is certain that it is what
//     was meant; what cannot be removed in the end is logged and counted.
//   - An attachment is looked for under its legacy key, then, if the Layout has
//     them, under flat names, then in the fallback directory, and is absent only
//     if all of them say so. Delete removes it everywhere, last where it is
//     found first. New objects have legacy keys. A SoleWriter that has learnt all
//     names looks for none that it does not know.
//   - Without AcceptPlaintext, what is no envelope is corrupt. With it, what does
//     not begin as an envelope is a file; what does and cannot be opened is
//     corrupt, as ever.
//   - Open returns a File only after the whole object was fetched, unsealed
//     and verified. A File cannot fail afterwards. What was fetched or verified
//     a moment ago is not fetched again, so that another machine's delete may go
//     unseen for that moment; a delete through the Store never does.
//   - All who have one version open, or open it meanwhile, share one fetch and
//     its memory. A fetch outlives the one who began it, and ends when nobody
//     waits for it. Its error reaches all who wait.
//   - The contents of all Writers and Files are within the budget.
//
// # Errors
//
// Errors wrap one of: io/fs.ErrNotExist, io/fs.ErrPermission, io/fs.ErrExist,
// backends.ErrChanged, crypto.ErrCorrupt, crypto.ErrUnknownKey, crypto.ErrRetiredKey,
// budget.ErrTooLarge, budget.ErrBusy, context.Canceled,
// context.DeadlineExceeded, ErrCommitted, ErrDiscarded, ErrDeleted; or something
// else, which is the store's trouble. They are wrapped in *Error where more is known.
package attachment
