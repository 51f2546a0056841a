// Package budget admits work by the memory it needs. A Budget bounds the bytes
// of file content that are in memory at one time, whatever the load.
//
// # Contract
//
//   - Work takes a Claim, grows it to what it needs before it uses the memory,
//     and releases it afterwards. A reader knows its size and grows once; a
//     writer grows in steps.
//   - A claim is of one of two classes, Read and Write, that share one limit. A
//     quarter of it is the readers' share, the rest that of writers. Readers may
//     have more than their share while nobody waits; writers never have more than
//     theirs, but for one, the elder.
//   - Claims are served first come, first served: a claim's place in the queue
//     is decided when it first asks. Nobody overtakes another one of its class, so
//     a large claim cannot be starved by small ones. A claim that already holds
//     memory asks from the place it took when it first asked, which is ahead of
//     every claim that has not been admitted yet.
//   - Nor does a class overtake the other, but for what is its own: readers get
//     their share although writers wait ahead of them, and although the sum is
//     above the limit. So however long writers keep their memory, a reader that
//     the share has room for does not wait.
//   - A claim above the limit is refused at once with ErrTooLarge. A claim at
//     the limit is always admitted in the end.
//   - No deadlock: the first of its class that already holds memory and cannot
//     be given more becomes the elder, and may grow to the limit beyond what the
//     others hold. So may one that is larger than its class's share while nobody
//     else of its class holds any, and waits for the other class alone: a large
//     reader does not wait for writers that hang, unless one of them is the elder.
//     There is one elder at a time, until the sum is within the limit again, and
//     writers within their share.
//   - All but the elder are within the limit together. While there is an elder,
//     others that hold memory already may go on to that bound; those that hold
//     none, readers within their share apart, wait for the sum to be within the
//     limit. So the sum is within the limit in normal use, and never above twice
//     the limit.
//   - A claim may be made urgent, for work that others would be held up by if it
//     waited. It passes everybody, and may take the sum beyond the limit, but
//     not into what is left of the readers' share below twice the limit. Above the
//     limit the elder gets what the urgent leave. There must be few of them, and
//     they must soon be done.
//   - A claim whose bytes are kept only because they might be of use is lent, and
//     counts for neither class. What is lent is called in before anybody waits, or
//     goes beyond the limit. Memory that nobody needs any more may be handed over
//     to a claim of its own and lent, until somebody inherits it.
//   - Waiting ends with the caller's context, or with ErrBusy when the
//     budget's own patience is exhausted. A wait that ended in an error leaves
//     no trace; what the claim held before, it still holds.
//
// Do not wait for one claim while holding another: the elder rule cannot see
// such a dependency, and only patience resolves it.
package budget
