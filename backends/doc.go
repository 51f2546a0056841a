// Package backends says what a bucket is: a flat store of whole, immutable
// objects under slash-separated keys. Every backend and every wrapper keeps
// the promises below; package backendtest holds the suite that proves them.
//
// # Promises
//
//   - Create is atomic and never overwrites. The object becomes visible with
//     all its bytes or not at all, and only if no object had the key. Of any
//     number of concurrent Creates of one key exactly one succeeds; the others
//     report io/fs.ErrExist. When Create returns nil the object is durable and
//     every later call, by anyone, sees it. A store without conditional writes
//     cannot keep the promise about concurrent Creates. Where an Inspector has
//     found that, and warned of it, Create refuses a key that was taken before
//     it was called, and no more.
//   - A Create that fails with anything but io/fs.ErrExist or
//     io/fs.ErrPermission has an unknown outcome: the store may have taken the
//     object although the answer was lost. The caller has to settle it. Even
//     io/fs.ErrExist may be the caller's own object, when a retry below found
//     what the first attempt had stored. An error that wraps ErrNotSent has no
//     outcome at all.
//   - Replace is atomic as well. The object changes from the version given to
//     the new one as a whole, or not at all; one that has been deleted never
//     comes back. Of any number of concurrent Replaces of one version exactly
//     one succeeds. Its errors mean what those of Create mean, with ErrChanged in
//     the place of io/fs.ErrExist. A store without conditional requests has no
//     Replace; then the error wraps errors.ErrUnsupported.
//   - Read never mixes versions: all its bytes come from the one version it
//     reports. Given a version it reads that one or reports ErrChanged.
//   - A missing object, and nothing else, is io/fs.ErrNotExist. A refusal
//     is io/fs.ErrPermission. An outage is neither.
//   - Delete of a missing key succeeds. When Delete returns nil, ErrChanged or
//     io/fs.ErrPermission, the store has answered the only request that was sent,
//     so that none of this call can arrive any more; after any other error one
//     may, at any later time. A Delete of a version never removes another one,
//     however late it arrives. A store that does not honour that condition is
//     found out by an Inspector, which warns of it; ConditionsOf then says so.
//     There the Delete of a version looks at the version, and if it is the one,
//     sends a request without a condition, which removes whatever is there when
//     it arrives.
//   - List returns keys in ascending byte order, each at most once, also
//     across pages. Objects created or deleted between two pages may or may
//     not be listed; all others are.
//   - A call to a cloud is given up when no byte of any of its requests has gone
//     in either direction for Limits.RequestTimeout, pauses before retries and
//     the search for credentials included, and for no other want of progress: it
//     lasts as long as bytes trickle. Its outcome is unknown then.
//   - Every call ends soon after its context does, with an error that wraps
//     the context's. Nothing a cancelled call leaves behind is ever visible as
//     part of an object.
//   - All methods may be called concurrently.
//
// # Keys
//
// A key satisfies io/fs.ValidPath and is not ".". A backend reports an
// invalid key as ErrInvalidKey and does not contact the store.
//
// # Errors
//
// Backends translate the errors of their SDK where the SDK is called, into
// the sentinels above, wrapped in *Error. What they do not know they wrap
// unchanged. Callers test with errors.Is and errors.As, never by text.
package backends
