// Package archive works on all attachments of a bucket: it verifies them and
// seals them under another master key. A daemon may serve the bucket meanwhile.
//
// # Contract
//
//   - Nothing is kept between two runs: what is done is seen in the bucket, so
//     that a run that was killed is simply begun again.
//   - File contents stay within the Store's budget.
//   - A file that is deleted while it is worked on stays deleted, and is no
//     failure.
//   - An outage is reported as such, and never as a bad object.
package archive
