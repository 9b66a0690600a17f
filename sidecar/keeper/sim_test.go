package keeper_test

import (
	"context"
	"flag"
	"fmt"
	"testing"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

var (
	simSeeds = flag.Uint64("sim.seeds", defaultSeeds, "how many simulations run")
	simSeed  = flag.Uint64("sim.seed", 1, "the first seed")
	simOnly  = flag.String("sim.only", "", "only this kind of episode, see episodes; empty: all")
	simLogs  = flag.String("sim.logs", "", "write what was logged in a failed simulation to files that begin with this")
	simHours = flag.Int("sim.hours", defaultHours, "virtual hours of each")
)

// TestSimulation holds five sidecars and fifty readers to the six invariants,
// through faults of every kind, with a ticket beside the token. Every third seed
// uses stable_token, and every fifth of the others both APIs.
func TestSimulation(t *testing.T) {
	t.Parallel()
	for seed := *simSeed; seed < *simSeed+*simSeeds; seed++ {
		t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) {
			t.Parallel()
			t.Log(simulateSeed(t, seed, *simHours, false).verdict)
			if t.Failed() {
				t.Logf("repeat with: go test ./sidecar/keeper -run 'TestSimulation$' -sim.seeds=1 -sim.seed=%d -sim.hours=%d -sim.only=%s", seed, *simHours, *simOnly)
			}
		})
	}
}

// simulateSeed runs the simulation of a seed for so many hours. A mild judge fails
// no test.
func simulateSeed(t *testing.T, seed uint64, hours int, mild bool) *world {
	t.Helper()
	api := wechat.Token
	switch {
	case seed%3 == 0:
		api = wechat.StableToken
	case seed%5 == 4:
		api = bothAPIs
	}
	w := simulate(t, seed, api, 5, 50, func(ctx context.Context, w *world) {
		w.judge.mu.Lock()
		w.judge.mild = mild
		w.judge.mu.Unlock()
		days(hours)(ctx, w)
	}, memcache.JSAPITicket)
	j := w.judge
	w.verdict = fmt.Sprintf("%s: %d reads, %d of invalid tokens (all within the bounds), %d without a token, %d requests, %d tokens issued; "+
		"tickets: %d reads, %d of invalid ones (all within the bounds), %d without one, %d requests",
		api, j.reads, j.invalid, j.failures, w.wechat.Calls("", "token")+w.wechat.Calls("", "stable_token"), w.wechat.Issues(""),
		j.tickets.reads, j.tickets.invalid, j.tickets.failures, w.wechat.Calls("", "jsapi"))
	return w
}
