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
// Schedules that cost less of the bound run first, in random order. So when an exploration
// ends early, it says which smaller bounds are complete. Of the one at which it ended it
// says how many schedules are left; each can bring others.
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
//
// # Flags
//
//	-explore.bounds=LIST     bounds to explore to their end, each as preemptions,faults;
//	                         "1,0 0,1" without the flag
//	-explore.starts=LIST     starts, separated by ; – all of two sidecars without the flag
//	-explore.for=DURATION    end the exploration of one start and bound after this time
//	-explore.save=FOLDER     continue there an exploration of the same code that was
//	                         interrupted; it is saved every five minutes, and at its end
//	-explore.sample=BOUND    then run random schedules within this bound, for -explore.for
//	-explore.seed=N          the seed of these; 1 without the flag
//	-explore.replay=SCHEDULE run this schedule of the start alone, and print it
//
// A schedule names each choice that is not the usual one, as step.choice. This one takes
// choice 1 at the steps 13 and 14; a schedule of - takes the usual one at each step:
//
//	go test ./sidecar/keeper/explore -run TestExplore -v -explore.starts=due -explore.replay=13.1,14.1
//
// A failed exploration prints the command that repeats the schedule.
package explore
