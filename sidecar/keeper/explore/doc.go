// Package explore runs the shipped keeper of two sidecars through the schedules of their
// operations on memcached and WeChat. It has tests only.
//
// A scheduler releases one operation at a time, in virtual time. At each operation it can
// choose: the usual sidecar goes on, the other one goes first, this one is stopped for
// some time, or something fails. A schedule is the list of these choices. The explorer
// runs every schedule within a bound: the number of preemptions (a sidecar is stopped, or
// another one goes first) and the number of faults. It checks what the keeper promises
// after each operation.
//
// A state that was explored before, with at least as much of the bound left, is not
// explored again. A state is what each sidecar did and saw (operations and their
// results), what memcached and WeChat have, the time, and what waits. Two schedules that
// differ only in the order of operations that do not touch each other meet in the same
// state.
//
// An operation is what is sent to memcached in one piece. A read and the compare-and-swap
// that follows it over the same connection are one operation here. A test of
// package memcache explores what can happen between them.
//
// What it needs no schedule for: a poll is one operation, and one that changes nothing
// commutes with everything. Evictions are tried just before an operation on the evicted
// key, since no sidecar can tell when before that the key was lost.
//
// # Stories
//
// The scripts in sidecar/keeper/testdata/stories are single schedules, each written as a
// story. TestStories runs them. The type script has their language.
package explore
