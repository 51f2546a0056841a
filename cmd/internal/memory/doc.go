// Package memory finds out how much memory this process can have, before the
// kernel ends it for having taken more.
//
// # Contract
//
//   - The bound is the least of what the machine has (MemTotal) and of every
//     limit of the process's control group and those it is nested in: cgroup v1,
//     v2, or both at once, as far as they can be seen from here.
//   - It does not depend on what is free at the moment, which differs from one
//     start to the next; that is told separately.
//   - No privilege is needed. A file that is not there, or cannot be read, sets
//     no limit; Unknown names what could not be read.
package memory
