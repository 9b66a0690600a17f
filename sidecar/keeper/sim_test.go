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
			api := wechat.Token
			if seed%3 == 0 {
				api = wechat.StableToken
			}
			w := simulate(t, seed, api, 5, 50, days(*simHours), memcache.JSAPITicket)
			t.Logf("%s: %d reads, %d of dead tokens (all within the bounds), %d without a token, %d calls, %d tokens issued",
				api, w.judge.reads, w.judge.dead, w.judge.nothing, w.wechat.Calls("", string(api)), w.wechat.Issues(""))
			t.Logf("tickets: %d reads, %d of dead ones (all within the bounds), %d without one, %d calls",
				w.judge.tickets.reads, w.judge.tickets.dead, w.judge.tickets.nothing, w.wechat.Calls("", "jsapi"))
		})
	}
}
