// Package privileged holds what takes root's rights to mount a bucket, so that
// the process that serves it has none.
//
// # Contract
//
//   - [Clone] opens a directory for another user: in what it returns, the files
//     of the directory's owner are that user's own, and what that user makes
//     belongs to the owner on the disk. Nobody else's files change hands.
//   - [Become] makes this process another user's, for good: no group but that
//     user's, every set of capabilities empty, and no new privileges. It runs the
//     program again, so that nothing of before is left in memory.
//   - [Call] and [Serve] are the two ends of a conversation between the process
//     that serves and the one that has rights. A question is one byte and has no
//     arguments: what is done is for the configuration to say, which is root's.
package privileged
