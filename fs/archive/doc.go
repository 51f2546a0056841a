// Package archive works on all attachments of a bucket: it verifies them,
// seals them under another master key, and moves them in from a plain directory
// and out to one. A daemon may serve the bucket meanwhile.
//
// # Contract
//
//   - Nothing is kept between two runs: what is done is seen in the bucket, so
//     that a run that was killed is simply begun again.
//   - File contents stay within the Store's budget.
//   - A file that is deleted while it is worked on stays deleted, and is no
//     failure.
//   - An outage is reported as such, and never as a bad object.
//   - Moving in or out overwrites nothing. What was moved counts when it has been
//     compared, byte by byte; what is there already, but differs, is left alone.
//   - No message holds the name of a file that is not an attachment's.
package archive
