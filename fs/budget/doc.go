// Package budget admits work by the memory it needs. A Budget bounds the bytes
// of file content that are in memory at one time, whatever the load.
//
// # Contract
//
//   - Work takes a Claim, grows it to what it needs before it uses the memory,
//     and releases it afterwards. A reader knows its size and grows once; a
//     writer grows in steps.
//   - Claims are served first come, first served: a claim's place in the queue
//     is decided when it first asks. Nobody overtakes, so a large claim cannot
//     be starved by small ones. A claim that already holds memory asks from
//     the place it took when it first asked, which is ahead of every claim
//     that has not been admitted yet.
//   - A claim above the limit is refused at once with ErrTooLarge. A claim at
//     the limit is always admitted in the end.
//   - No deadlock: when the first in the queue already holds memory and cannot
//     be given more, it becomes the elder and may grow to the limit beyond what
//     the others hold. There is one elder at a time, and while the sum is above
//     the limit nobody else is given anything. So the sum is within the limit
//     in normal use, and never above twice the limit.
//   - A claim may be made urgent, for work that others would be held up by if it
//     waited. It passes everybody, and may take the sum beyond the limit, but
//     not beyond twice the limit. Above the limit the elder gets what the
//     urgent leave. There must be few of them, and they must soon be done.
//   - A claim whose bytes are kept only because they might be of use is lent.
//     What is lent is called in before anybody waits, or goes beyond the limit.
//     Memory that nobody needs any more may be handed over to a claim of its own
//     and lent, until somebody takes it together with that claim.
//   - Waiting ends with the caller's context, or with ErrBusy when the
//     budget's own patience is exhausted. A wait that ended in an error leaves
//     no trace; what the claim held before, it still holds.
//
// Do not wait for one claim while holding another: the elder rule cannot see
// such a dependency, and only patience resolves it.
package budget
