// Package sim runs fleets of the shipped keeper in virtual time, and judges what their
// readers get. It has tests only.
//
// A world is one memcached, one WeChat, and some pods. Each pod has a sidecar (keeper and
// API) and apps that use the client library. All run in one synctest bubble, so a day
// takes seconds, and a run of a seed repeats exactly.
//
// There are three kinds of tests:
//
//   - TestSimulation: random episodes of faults through a day. The judge checks each read
//     and each request against the six promises of package keeper. It excuses a bad read
//     only for a cause, and within the bounds of excuse_test.go.
//   - Scenarios: one fault in one world, for example WeChat down for an hour.
//   - TestAttack: what once broke the protocol, or could. Here the judge only counts, and
//     the test asserts what is right.
//
// # Flags
//
//	-sim.seeds=N   simulations; 1 without the flag
//	-sim.seed=N    the first seed; 1 without the flag
//	-sim.hours=N   virtual hours of each; 6 without the flag
//	-sim.only=KIND only episodes of this kind, see episodes
//	-sim.logs=PATH write the logs of a failed simulation to files that begin with PATH
//
// A failed simulation prints the command that repeats it. make sim runs many seeds, and
// then a month.
package sim
