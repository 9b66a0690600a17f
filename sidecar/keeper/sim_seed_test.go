package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Two runs of a seed do the same: the same events, and in each minute the same
// traffic to memcached, to the nanosecond.
func TestSimulation_SeedRepeats(t *testing.T) {
	t.Parallel()
	for seed := *simSeed; seed < *simSeed+*simSeeds; seed++ {
		run := func() *world { return simulateSeed(t, seed, *simHours/4, true) }
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
