package keeper_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

var (
	simSeeds = flag.Uint64("sim.seeds", 3, "how many simulations run")
	simSeed  = flag.Uint64("sim.seed", 1, "the first seed")
	simOnly  = flag.String("sim.only", "", "only this kind of episode, see episodes; empty: all")
	simLogs  = flag.String("sim.logs", "", "write what was logged in a failed simulation to files that begin with this")
	simHours = flag.Int("sim.hours", 24, "virtual hours of each")
)

// TestSimulation holds five sidecars and fifty readers to the six invariants,
// through faults of every kind, with a ticket beside the token. Every third seed
// uses stable_token.
func TestSimulation(t *testing.T) {
	t.Parallel()
	for seed := *simSeed; seed < *simSeed+*simSeeds; seed++ {
		t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) {
			t.Parallel()
			t.Log(simulateSeed(t, seed, *simHours).verdict)
		})
	}
}

// simulateSeed runs the simulation of a seed for so many hours.
func simulateSeed(t *testing.T, seed uint64, hours int) *world {
	t.Helper()
	api := wechat.Token
	if seed%3 == 0 {
		api = wechat.StableToken
	}
	w := simulate(t, seed, api, 5, 50, days(hours), memcache.JSAPITicket)
	j := w.judge
	w.verdict = fmt.Sprintf("%s: %d reads, %d of invalid tokens (all within the bounds), %d without a token, %d requests, %d tokens issued; "+
		"tickets: %d reads, %d of invalid ones (all within the bounds), %d without one, %d requests",
		api, j.reads, j.dead, j.nothing, w.wechat.Calls("", string(api)), w.wechat.Issues(""),
		j.tickets.reads, j.tickets.dead, j.tickets.nothing, w.wechat.Calls("", "jsapi"))
	return w
}
