package sim

import (
	"context"
	"flag"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

var (
	simSeeds = flag.Uint64("sim.seeds", 1, "how many simulations run")
	simSeed  = flag.Uint64("sim.seed", 1, "the first seed")
	simOnly  = flag.String("sim.only", "", "only this kind of episode, see episodes; empty: all")
	simLogs  = flag.String("sim.logs", "", "write what was logged in a failed simulation to files that begin with this")
	simLong  = flag.Bool("sim.long", false, "the other tests: four times the time, the readers, the sidecars and the seeds")
	simHours = flag.Int("sim.hours", 6, "virtual hours of each")
)

// TestSimulation holds five sidecars and fifty readers to the six invariants,
// through faults of every kind, with a ticket beside the token. Every third seed
// uses stable_token, and every fifth of the others both APIs. In every second one WeChat
// returns the same ticket until its end.
func TestSimulation(t *testing.T) {
	t.Parallel()
	for seed := *simSeed; seed < *simSeed+*simSeeds; seed++ {
		t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) {
			t.Parallel()
			t.Log(simulateSeed(t, seed, *simHours, false).verdict)
			if t.Failed() {
				t.Logf("repeat with: go test ./sidecar/keeper/sim -run 'TestSimulation$' -sim.seeds=1 -sim.seed=%d -sim.hours=%d -sim.only=%s", seed, *simHours, *simOnly)
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
		if seed%2 == 0 {
			w.sameTickets()
		}
		days(hours)(ctx, w)
	}, memcache.JSAPITicket)
	j := w.judge
	w.verdict = fmt.Sprintf("%s: %d reads, %d of invalid tokens (all within the bounds), %d without a token, %d requests, %d tokens issued; "+
		"tickets: %d reads, %d of invalid ones (all within the bounds), %d without one, %d requests",
		api, j.reads, j.invalid, j.failures, w.wechat.Requests("", "token")+w.wechat.Requests("", "stable_token"), w.wechat.Issues(""),
		j.tickets.reads, j.tickets.invalid, j.tickets.failures, w.wechat.Requests("", "jsapi"))
	return w
}

// Two runs of a seed do the same: the same events, and in each minute the same
// traffic to memcached, to the nanosecond.
func TestSimulation_SeedRepeats(t *testing.T) {
	t.Parallel()
	for seed := *simSeed; seed < *simSeed+*simSeeds; seed++ {
		run := func() *world { return simulateSeed(t, seed, max(1, *simHours/12), true) }
		first, second := run(), run()
		before, after := first.history(), second.history()
		for i := range min(len(before), len(after)) {
			if !assert.Equal(t, before[i].String(), after[i].String(), "event %d of seed %d", i, seed) {
				break
			}
		}
		assert.Len(t, after, len(before), "seed %d", seed)
		for minute := range first.traffic {
			if minute >= len(second.traffic) || !assert.Equal(t, first.traffic[minute], second.traffic[minute], "seed %d: traffic of minute %d", seed, minute) {
				break
			}
		}
		assert.Equal(t, first.verdict, second.verdict)
		assert.Equal(t, first.judge.faults, second.judge.faults)
		t.Logf("seed %d: %d events, twice", seed, len(before))
	}
}
