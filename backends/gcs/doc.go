// Package gcs keeps a bucket in Google Cloud Storage.
//
// # What calls cost
//
//	Stat    1 GET of the metadata
//	Read    1 GET; 1 GET of the metadata instead if there is no byte to read
//	        into; 1 of these more if the object ends before the offset or its
//	        version is refused; 1 GET more for every time the connection broke
//	        in mid-body
//	Create  1 POST up to 16 MiB; above that 1 POST, and 1 more for every 16 MiB
//	        begun (and an empty one if the last is full)
//	Replace as Create
//	Delete  1 DELETE; 1 GET of the metadata before that of a version, if the
//	        service does not honour the condition
//	List    1 GET for a page of at most 1000 entries
//
// Retries come on top, but of a DELETE: at most Config.MaxRetries a call, with jitter. What Read
// takes to go on after a break counts as a retry. All calls of a Bucket share
// one budget for them: 35 retries, and then as many as earlier ones have
// succeeded, and one more for every 14 requests that succeed at once. Below that, net/http sends a
// GET once more if a connection that it had kept turns out to be closed.
//
// # Missing objects
//
// The service answers 404 for a missing object and for a missing bucket, and
// tells them apart only by a text that it does not promise to keep. An object
// is reported missing if the text says so and the bucket is known to be there:
// some call has succeeded in it. Anything else costs one listing of the bucket,
// which must succeed. So the daemon needs the permission storage.objects.list;
// without it the service answers 403 for missing objects, too.
//
// # Versions
//
// The version of an object is its generation. Read of a version asks for the
// live object on condition that it is that generation, and compares the
// generation it gets. It does not ask for the generation by number: a bucket
// that keeps old versions would go on showing deleted objects.
//
// Stat, List and Create tell when a generation was created. Read, through the
// XML interface of the service, tells Last-Modified: the JSON interface tells
// no time at all when it gives the bytes. The two are the same second unless
// somebody changes the metadata of the object.
//
// # Create
//
// The request creates only if no live object has the name (generation 0). It
// goes out with the CRC-32C of the body, which the service compares before the
// object appears.
//
// Up to 16 MiB the body is sent from where it lies, retries included. Above
// that it goes through an upload session in pieces of 16 MiB, one after the
// other; the SDK holds a copy of one piece. A session that fails is cancelled.
// If that fails too, or the process is killed, the service drops it after a
// week; it is never visible. The service's own name of a request is not given
// for such uploads: it is the key to the session.
//
// A refusal is io/fs.ErrPermission only if it answers the first request: when
// a retry is refused, the first attempt may have stored the object.
//
// # Integrity
//
// A body that is read whole is compared with its CRC-32C. A range cannot be.
// An object that is stored compressed (Content-Encoding: gzip) is not read: the
// service would give other bytes than it has.
//
// # Emulators
//
// fake-gcs-server 1.56 differs from the service. It creates a missing bucket
// with the first object. Its 404 says neither object nor bucket, so each costs
// the listing. It ignores conditions on reads; the comparison of generations
// makes up for it. It ignores those on deletes, too, which Inspect finds out: a
// Delete of a version is then sent without one, after a look at the version. It counts no prefixes against the limit of a page, so that a
// shallow page may have more entries than were asked for. It does not compare
// the CRC-32C of an upload in several pieces, and it does not drop cancelled
// sessions.
package gcs
