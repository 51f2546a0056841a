// Package s3 keeps a bucket in Amazon S3 or a store that speaks its protocol.
//
// # What the store must do
//
//   - Refuse a PUT with If-None-Match: * while the key is taken, atomically,
//     and the completion of a multipart upload likewise. A store that ignores
//     the header overwrites, unless Inspect has found that out.
//   - Show an object to everyone as soon as the PUT has been answered, and
//     list keys in the byte order of their UTF-8 text. Directory buckets (S3
//     Express One Zone) do not; a listing out of order is an error.
//   - Give an ETag that no two bodies share. It is the version of an object.
//     Two objects of the same bytes may have the same one.
//
// # What calls cost
//
//	Stat    1 HEAD
//	Read    1 GET; 1 HEAD instead if there is no byte to read into; 1 HEAD
//	        more if the object ends before the offset; 1 GET more for every
//	        time the connection broke in mid-body
//	Create  1 PUT up to 16 MiB; above that 1 POST, 1 PUT for every 8 MiB, 1 POST
//	Replace as Create, with If-Match in the place of If-None-Match
//	Delete  1 DELETE; 1 HEAD before that of a version, if the store does not
//	        honour If-Match there
//	List    1 GET for a page of at most 1000 entries
//
// Retries come on top, but of a DELETE: at most Config.MaxRetries a request, with jitter, from
// one allowance that all calls share. Read takes what it needs to go on after
// a break from the same allowance.
//
// # Integrity
//
// Every body goes out with its CRC-32C in a header, never in a trailer, which
// many stores do not understand. Over HTTPS the checksum takes the place of a
// signature of the body. A body that is read whole is compared with its
// CRC-32C, CRC-32 or CRC-64/NVME if the store tells one: Amazon S3 does not
// for a range, and all reads are ranges.
//
// # What Inspect learns
//
// A store that ignores or refuses If-None-Match is asked with a HEAD whether a
// key is taken, and then given the body without a condition: of two Creates of
// one key at the same moment both may succeed, and one of the bodies is lost. A
// store that ignores or refuses CRC-32C is given Content-MD5 instead. Inspect
// tries both, for bodies in one piece and for those in parts, with an object of
// its own, and stores a body with the checksum of another to see that it is
// refused. A store that ignores or refuses If-Match of a DELETE is asked with a
// HEAD for the version, and then given the DELETE without a condition: it may take
// away what was stored in between, or before it arrives. What it has learnt holds as long as the Bucket. Without Inspect every
// store is taken for one that can do everything.
//
// # Errors
//
//   - io/fs.ErrNotExist is a GET answered with NoSuchKey or a HEAD answered
//     with 404. A HEAD cannot tell a missing object from a missing bucket.
//   - io/fs.ErrPermission is 401 or 403. Without the permission s3:ListBucket
//     S3 answers 403 for missing objects, too: give the daemon that permission.
//   - An object in an archive (InvalidObjectState) is ErrArchived.
//   - 409 on Create, a conflict with another request, is none of the sentinels:
//     its outcome is unknown.
//   - Create reports a refusal as io/fs.ErrPermission only if its request was
//     sent once. If it was a retry that was refused, the first attempt may have
//     stored the object.
//
// # Leftovers
//
// A multipart upload that fails is aborted. Where that fails too, or meets a part
// that is still under way, or the process is killed, its parts stay, invisible
// and paid for, until Sweep or a lifecycle rule of the bucket
// (AbortIncompleteMultipartUpload) removes them. MinIO lists the uploads since
// its own start alone, and removes others itself after a day.
//
// # Stores tried
//
// Versity S3 Gateway 1.8.0, POSIX backend: keeps the promises, conditional PUT
// and completion among them, but for one weakness, with three differences. Another
// request may come between its look at a condition and what it does then: a
// Replace at the very moment of a Delete brings the object back, and a Delete of
// a version at the very moment of a Replace, or of another Delete and a Create,
// removes the new one. A key and a key below it
// ("a", "a/b") exclude each other. It refuses a taken key before it has
// read the body, then closes the connection: of bodies between some 100 KiB
// and 2 MiB, which go out without Expect: 100-continue, a few in a hundred meet
// a reset instead of 412, whose outcome is unknown until it is settled. And it
// makes the directories of a key one by one, while a delete of the last object
// below removes them: a PUT that loses this race is answered with 409
// ExistingObjectIsDirectory, and sent again.
//
// MinIO, the commit of 2026-02-12, over HTTP and TLS: ignores If-Match of a
// DELETE, which Inspect finds out, and keeps all other promises. Like
// Amazon S3, and unlike the gateway, it tells no checksum for a range.
//
// GoFakeS3, the commit of 2024-07-01, stands for old stores: it ignores
// If-None-Match and CRC-32C. With what Inspect learns, everything but the
// promise about concurrent Creates is kept.
//
// # Times and versions
//
// S3 does not tell when it took an object: Create estimates Object.Modified to
// the second. In a bucket with versioning Delete leaves a delete marker.
package s3
