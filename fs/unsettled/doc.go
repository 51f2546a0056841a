// Package unsettled keeps what is open about object keys: uploads whose answer
// was lost, deletes that may still arrive, and those that are to be made up for. It
// knows buckets and keys, not what the objects are.
//
// # The promise
//
// No request that was sent can remove or replace an object that was acknowledged
// after it, however late it arrives, and no upload whose outcome is open is
// forgotten before its time is up or its key is stored.
//
// # How it is kept
//
//  1. Every upload is a Try of its key. Whoever writes a file holds a Claim of
//     its key from the first byte on. There may be several tries of one key, one
//     after the other: Orthanc from 1.12.5 on repeats a failed store three times
//     under one name.
//  2. A try that fails with an unknown outcome is an open upload. All open
//     uploads of a key are kept, and looked for after each of Options.Pauses, also
//     when one of them was found and deleted: a request that was sent twice below
//     may arrive twice. In the end it has not been there at the last look, or it
//     is reported as left.
//     The same holds, once it is deleted, for what was stored by requests that were
//     repeated (Try.Repeated).
//  3. An open upload is deleted only while nobody has a Claim of its key, and
//     never once the key is stored. The delete names the version that was seen.
//  4. While a delete of a key is under way or to be made up for, and for Options.Late
//     after one whose answer did not come, its name is burnt: no try of it begins.
//     This holds also for the deletes that callers send (Deletion).
//  5. A try of a key with open uploads may find one of them, with the content that
//     it has itself. It adopts that: no upload, no delete. Where the store does not
//     honour conditional creates, a try of such a key does nothing else: a late
//     upload could replace what it stores.
//  6. An open upload is not there, for lookups and listings, until its key is
//     stored: Hides and Hidden tell.
//  7. Of tries of a key that follow each other within RepeatWindow none begins
//     later than Options.Repeat after the first one: whoever waits for the last has
//     waited for all of them.
//  8. A Journal outlives the process. It holds the keys that are being stored, and
//     those with open uploads. What it has after a crash was not acknowledged, and
//     becomes an open upload of the next process. What was stored, and whose writer
//     had not gone on (Told), may have been acknowledged: it stays, and is reported.
//  9. A delete that a caller has asked for, and that no request has carried out for
//     certain, is made up for after each of Options.Pauses, unless the store refuses it:
//     whoever asked does not ask again. The Journal notes it before it is sent, so that
//     this holds also for the next process. What is deleted is the version that was to go
//     and no other, while nobody has a Claim of the key, and nothing once the key is
//     stored again. If nobody knew that version, or it is there in the end, it stays and is
//     reported. So does what a delete may have been meant for that nobody asked for (Doubt).
//
// An upload is recognised by its Mark: the size and a digest of its first 4,096
// bytes. Those of an envelope hold 64 random bytes. In a bucket without encryption
// two files under one key with the same size and the same 4,096 bytes would be
// taken for one, which takes somebody who makes up such files; there, too, a
// version may be that of another upload of the same bytes, which is why rule 4
// does not rely on versions.
package unsettled
