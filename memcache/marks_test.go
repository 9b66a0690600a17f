package memcache_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAMarkIsMadeOnceForTheWholeFleet(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		first := make(chan bool, 50)
		var all sync.WaitGroup
		for range cap(first) {
			slot := slotOf(t, open(t, s.config))
			all.Go(func() {
				ok, err := slot.Mark("forced", 31*time.Second)
				if assert.NoError(t, err) && ok {
					first <- true
				}
			})
		}
		all.Wait()
		require.Len(t, first, 1)
		i, there := s.peek(t, "wx1:forced")
		require.True(t, there)
		s.assertItem(t, "wx1:forced", i.value, 31)
		ok, err := slotOf(t, s.Store).Mark("force_refresh", 4500*time.Second)
		require.NoError(t, err)
		assert.True(t, ok, "another name")
	})
}

func TestAMarkMayBeMadeAgainAfterItsLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		time.Sleep(time.Second / 2)
		for range 3 {
			ok, err := f.slot.Mark("forced", 31*time.Second)
			require.NoError(t, err)
			require.True(t, ok)
			time.Sleep(30 * time.Second)
			ok, err = f.slot.Mark("forced", 31*time.Second)
			require.NoError(t, err)
			require.False(t, ok)
			time.Sleep(time.Second)
		}
	})
}

func TestSpendTakesAsManyPlacesAsThereAre(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		const limit = 10
		var mu sync.Mutex
		spent := 0
		var all sync.WaitGroup
		for range 3 * limit {
			all.Go(func() {
				ok, err := slotOf(t, s.Store).Spend("calls", limit, 10*time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if assert.NoError(t, err) && ok {
					spent++
				}
			})
		}
		all.Wait()
		assert.Equal(t, limit, spent)
		i, there := s.peek(t, "wx1:calls:9")
		require.True(t, there)
		s.assertItem(t, "wx1:calls:9", i.value, 601)
		ok, err := slotOf(t, s.Store).Spend("calls", 0, time.Minute)
		require.NoError(t, err)
		assert.False(t, ok, "no places")
	})
}

func TestNoStretchOfAWindowSeesMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			f := setup(t)
			limit := 1 + random.IntN(5)
			window := time.Second + time.Duration(random.Int64N(int64(20*time.Second)))
			if seed%3 == 0 {
				window = window.Truncate(time.Second)
			}
			var spent []time.Time
			for range 200 {
				time.Sleep(time.Duration(random.ExpFloat64() * float64(window) / float64(2*limit)))
				if seed%2 == 0 { // bursts on the ticks of memcached's clock
					time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
				}
				ok, err := f.slot.Spend("calls", limit, window)
				require.NoError(t, err)
				if ok {
					spent = append(spent, time.Now())
				}
			}
			require.Greater(t, len(spent), limit, "places become free again")
			for i := limit; i < len(spent); i++ {
				assert.GreaterOrEqual(t, spent[i].Sub(spent[i-limit]), window, "seed %d: %d within %s", seed, limit+1, window)
			}
			time.Sleep(window + 2*time.Second)
			for range limit {
				ok, err := f.slot.Spend("calls", limit, window)
				require.NoError(t, err)
				require.True(t, ok, "all are free")
			}
		})
	}
}
