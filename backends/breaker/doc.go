// Package breaker refuses calls at once while a bucket is known to be away, so
// that each does not wait for its own time-out.
//
// # Contract
//
//  1. A Bucket keeps the promises of the bucket that it wraps.
//  2. There are two circuits, one for calls that read and one for those that
//     change something: a store may have lost one of both.
//  3. A circuit opens when a call has failed for another reason than an answer
//     about its object, and no call of the circuit has been answered since that one
//     began. A probe begins at once, and again after Options.Pause, until one is
//     answered; then, or when a call that was under way is, the circuit closes.
//  4. A call that meets an open circuit waits until that has been open for
//     Options.Wait: a failure that stands alone refuses nobody. Then it is refused
//     with an error that wraps backends.ErrNotSent and what had opened the circuit:
//     nothing of it was sent. From then on Away says so.
package breaker
