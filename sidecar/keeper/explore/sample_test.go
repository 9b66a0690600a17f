package explore

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// sample runs random schedules within a bound until the time is over. The same seed brings
// the same schedules.
func (e *search) sample(t *testing.T, seed uint64, workers int) {
	var all sync.WaitGroup
	for worker := range workers {
		dice := rand.New(rand.NewPCG(seed, uint64(worker)))
		all.Go(func() {
			for time.Now().Before(e.deadline) {
				r := e.one(t, nil, nil, e.drawFrom(dice))
				e.mu.Lock()
				e.schedules++
				e.note(r.drawn, r)
				enough := len(e.failures) >= maxFailures
				e.mu.Unlock()
				if enough {
					return
				}
			}
		})
	}
	all.Wait()
}

// drawFrom returns how a random schedule chooses: at one step in pickEvery it does not
// take the usual way.
func (e *search) drawFrom(dice *rand.Rand) func(step) int {
	const pickEvery = 12
	return func(at step) int {
		if dice.IntN(pickEvery) > 0 {
			return 0
		}
		var allowed []int
		for c, cost := range at.costs {
			if _, ok := at.left.minus(cost); c > 0 && ok {
				allowed = append(allowed, c)
			}
		}
		if len(allowed) == 0 {
			return 0
		}
		return allowed[dice.IntN(len(allowed))]
	}
}
