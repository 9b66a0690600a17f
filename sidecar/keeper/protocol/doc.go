// Package protocol decides how many sidecars keep one credential valid. Every
// decision is a pure function of small values. It has no clock, no I/O, no lock and
// no log: the time and every random number are arguments.
//
// # The problem
//
// Each request to WeChat's classic API invalidates the previous token after a grace
// period of 300 s. A lease in memcached gives one requester, and compare-and-swap
// gives one writer. Two problems remain. Each ends with a token that no sidecar holds,
// while every sidecar continues with one that expires in 300 s:
//
//   - The holder of the lease is paused before its request until another sidecar has
//     renewed: sidecar/keeper/testdata/stories/paused_no_token.txt
//   - The answer to a request is lost, or its sidecar is killed:
//     sidecar/keeper/testdata/stories/lost_answer.txt and
//     sidecar/keeper/testdata/stories/killed_holder.txt
//
// # The journey of a renewal
//
//  1. A renewal is wanted: [Held.DueIn], [Held.Wants], [Why].
//  2. The sidecar reads the record. If another one has renewed, it adopts that:
//     [Held.Adopt]. Otherwise it takes the lease and reads the record again.
//  3. It decides whether the request is planned, or takes one use of the budget:
//     [Held.PlanFor].
//  4. It claims: the record gets a doubt before anything is sent, [Held.Claim]. A doubt is
//     a time from which one more renewal is owed, see [Doubt].
//  5. It sends one request to WeChat.
//  6. If that fails and WeChat issued nothing, the claim is taken back, [Held.TakeBack].
//     If that is unknown, the record is marked, [Held.Mark] and [Unsettled]. All sidecars
//     wait, or this one hands the renewal over to the others: [Cooldown], [Yield].
//  7. If it succeeds, the record of the new token replaces exactly the claim,
//     [Held.Success]. Then the entry is written and the lease released.
//
// Every 10 to 15 s each sidecar polls. [Held.Reconcile] compares record and entry with
// what the sidecar holds, and returns what to repair.
//
// stable_token gives every sidecar the same token, and a ticket invalidates none. Their
// requests need no claim and leave no doubt. docs/protocol.md has the rules of the claim
// and the keys in memcached.
//
// A sidecar without the AppSecret asks an upstream, under the same record, lease and entry:
// [Held.FromUpstream]. That needs no claim either.
//
// # Clocks
//
// No safety depends on wall clocks that agree. A duration since something was first
// seen is measured on the monotonic clock. A wall clock decides only two things: how
// old a record is that this process has not seen arrive, and whether time has passed
// while the machine was suspended.
package protocol

import "time"

// Now is the time on both clocks of a sidecar.
type Now struct {
	// Wall is the wall clock.
	Wall time.Time
	// Mono carries a reading of the monotonic clock. Only differences of it count.
	Mono time.Time
}
