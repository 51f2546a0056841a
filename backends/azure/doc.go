// Package azure keeps a bucket in a container of Azure Blob Storage: the object
// under key is the block blob of that name.
//
// # Requests
//
//	Create up to 16 MiB   1  Put Blob
//	Create above          1 a block of 8 MiB, four at a time, and 1 Put Block List
//	Read                  1  Get Blob
//	Read of no bytes, or
//	from the end on       1 or 2, one of them Get Blob Properties
//	Stat                  1  Get Blob Properties
//	Replace               as Create, with If-Match in the place of If-None-Match
//	Delete                1  Delete Blob
//	List                  1 a page of up to 5,000
//
// Retries add to that, but for a DELETE. The SDK repeats a request that got no answer, or one of
// 408, 429 and 5xx, after a growing, jittered pause or the one that the service
// asks for. A body that breaks off is fetched on from where it broke, the same
// version, at most Config.MaxRetries times in one Read. All calls of a Bucket
// share one budget for both: 35 retries, and then as many as earlier ones have
// succeeded, and one more for every 14 requests that succeed at once.
//
// # Versions and conditions
//
// The version of an object is its ETag without the quotes. Create sends
// "If-None-Match: *", with the blocks' list when there are blocks, so that the
// service itself refuses a second object. A Read of a version sends If-Match.
// Where that fails, one more request finds out whether there is any object.
//
// A refusal of Create is io/fs.ErrPermission only if the request was sent once.
// When a repeated one is refused, the first may have stored the object.
//
// # Checksums
//
// Every body and every block goes with its MD5, which the service verifies. It
// keeps the one of a Put Blob, and a Read of such an object as a whole is
// verified against it. A Read of at most 4 MiB asks the service for the MD5 of
// just that range. Larger ranges are verified by nothing but their length: there
// is no checksum to be had for them.
//
// # Blocks of failed uploads
//
// Blocks that were never committed cannot be seen, neither by Stat and Read nor
// in listings, and cannot be taken away: the service has no call for it. They
// are billed, and vanish by themselves a week after the last of them came. A
// Create of the same key that succeeds drops them at once.
//
// # Keys
//
// Beyond what package backends refuses, a key is invalid if it has more than
// 1,024 characters or 254 elements, ends in a dot, or has a backslash, a control
// character, U+FFFE or U+FFFF: the service changes or refuses those. Blobs with
// such names, made by others, are not listed. The service's documentation
// advises against elements that end in a dot, too.
//
// # Limits
//
// Listings of an account with a hierarchical namespace (Data Lake Storage Gen2)
// are not in byte order. List reports a page that is not as an error. Keys that
// all have the same shape, as attachments do, are in order there, too.
//
// Delete fails while a blob has snapshots, a lease, or an immutability policy.
// An object in the archive tier is found by Stat and listings, but Read reports
// ErrArchived until it has been rehydrated.
//
// # Azurite
//
// The tests run on Azurite 3.37.0. It lags behind the SDK's version of the REST
// API, so it is started with --skipApiVersionCheck. It answers 206 without a
// byte, not 416, to a range that starts at the very end of an object. Both are
// understood.
package azure
