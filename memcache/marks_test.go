package memcache_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// One of many sidecars sets a mark.
func TestMark_OnceForTheFleet(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		first := make(chan bool, 50)
		var all sync.WaitGroup
		for range cap(first) {
			slot := slotOf(t, open(t, s.config))
			all.Go(func() {
				ok, err := slot.Mark(memcache.MarkReportThrottle, 31*time.Second)
				if assert.NoError(t, err) && ok {
					first <- true
				}
			})
		}
		all.Wait()
		require.Len(t, first, 1)
		i, there := s.peek(t, "wx1:report_throttle")
		require.True(t, there)
		s.assertItem(t, "wx1:report_throttle", i.value, 31)
		ok := must(slotOf(t, s.Store).Mark(memcache.MarkForceRefresh, 4500*time.Second))(t)
		assert.True(t, ok, "another name")
	})
}

// A mark can be set again after its life.
func TestMark_AgainAfterItsLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		time.Sleep(time.Second / 2)
		for range 3 {
			ok := must(f.slot.Mark(memcache.MarkReportThrottle, 31*time.Second))(t)
			require.True(t, ok)
			time.Sleep(30 * time.Second)
			ok = must(f.slot.Mark(memcache.MarkReportThrottle, 31*time.Second))(t)
			require.False(t, ok)
			time.Sleep(time.Second)
		}
	})
}

// A mark with a word tells it to every sidecar, and Remark changes word and life.
func TestRemark_ChangesWordAndLife(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		other := slotOf(t, open(t, s.config))
		mark := func(slot *memcache.Slot, word string) (string, bool) {
			there, first, err := slot.MarkWith(memcache.MarkReportThrottle, word, 31*time.Second)
			require.NoError(t, err)
			return there, first
		}
		word, first := mark(s.slot, "one")
		assert.Equal(t, "one", word)
		assert.True(t, first)
		word, first = mark(other, "two")
		assert.Equal(t, "one", word)
		assert.False(t, first)
		before := must(other.Remark(memcache.MarkReportThrottle, "valid", time.Minute))(t)
		assert.Equal(t, "one", before)
		word, _ = mark(s.slot, "three")
		assert.Equal(t, "valid", word)
		i, _ := s.peek(t, "wx1:report_throttle")
		s.assertItem(t, "wx1:report_throttle", i.value, 60)

		before = must(s.slot.Remark(memcache.MarkRecentReport, "one", time.Minute))(t)
		assert.Empty(t, before, "there was none")
		s.put(t, "wx1:recent_report", "by-hand", 0)
		before = must(s.slot.Remark(memcache.MarkRecentReport, "one", time.Minute))(t)
		assert.Equal(t, "by-hand", before)
	})
}

// A mark that can be taken once is free again when it is given back.
func TestTake_GivenBack(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		taken, ok, err := s.slot.Take(memcache.MarkForceRefresh, 75*time.Minute)
		require.NoError(t, err)
		require.True(t, ok)
		none, ok, err := s.slot.Take(memcache.MarkForceRefresh, 75*time.Minute)
		require.NoError(t, err)
		assert.False(t, ok)
		require.NoError(t, s.slot.GiveBack(none), "none")
		ok = must(s.slot.Mark(memcache.MarkForceRefresh, 75*time.Minute))(t)
		assert.False(t, ok)
		require.NoError(t, s.slot.GiveBack(taken))
		ok = must(s.slot.Mark(memcache.MarkForceRefresh, 75*time.Minute))(t)
		assert.True(t, ok)
	})
}

// All sidecars together can spend the limit.
func TestSpend_UpToTheLimit(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		const limit = 10
		var mu sync.Mutex
		spent := 0
		var all sync.WaitGroup
		for range 3 * limit {
			all.Go(func() {
				_, ok, err := slotOf(t, s.Store).Spend(memcache.MarkBudget, limit, 10*time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if assert.NoError(t, err) && ok {
					spent++
				}
			})
		}
		all.Wait()
		assert.Equal(t, limit, spent)
		i, there := s.peek(t, "wx1:budget:9")
		require.True(t, there)
		s.assertItem(t, "wx1:budget:9", i.value, 601)
		_, ok, err := slotOf(t, s.Store).Spend(memcache.MarkBudget, 0, time.Minute)
		require.NoError(t, err)
		assert.False(t, ok, "no use is free")
	})
}

// No period of the length of a window has more uses than the limit.
func TestSpend_NoWindowExceedsTheLimit(t *testing.T) {
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
				_, ok, err := f.slot.Spend(memcache.MarkBudget, limit, window)
				require.NoError(t, err)
				if ok {
					spent = append(spent, time.Now())
				}
			}
			require.Greater(t, len(spent), limit, "uses become free again")
			for i := limit; i < len(spent); i++ {
				assert.GreaterOrEqual(t, spent[i].Sub(spent[i-limit]), window, "seed %d: %d within %s", seed, limit+1, window)
			}
			time.Sleep(window + 2*time.Second)
			for range limit {
				_, ok, err := f.slot.Spend(memcache.MarkBudget, limit, window)
				require.NoError(t, err)
				require.True(t, ok, "all are free")
			}
		})
	}
}

// A use that is given back is free at once, for every sidecar.
func TestGiveBack_FreesTheUse(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		spend := func() (memcache.Spent, bool) {
			spent, ok, err := slotOf(t, open(t, s.config)).Spend(memcache.MarkBudget, 2, 10*time.Minute)
			require.NoError(t, err)
			return spent, ok
		}
		first, ok := spend()
		require.True(t, ok)
		_, ok = spend()
		require.True(t, ok)
		none, ok := spend()
		require.False(t, ok)
		assert.Equal(t, memcache.Spent{}, none)
		require.NoError(t, slot.GiveBack(none))

		require.NoError(t, slot.GiveBack(first))
		_, there := s.peek(t, "wx1:budget:0")
		assert.False(t, there)
		_, there = s.peek(t, "wx1:budget:1")
		assert.True(t, there, "the other use stays")
		_, ok = spend()
		assert.True(t, ok)
		require.NoError(t, slot.GiveBack(first), "a second time")
		_, ok = spend()
		assert.False(t, ok, "the use is another's by now")
		s.remove(t, "wx1:budget:0")
		assert.NoError(t, slot.GiveBack(first), "the use has ended")
	})
}

// The use changes hands while it is given back: a delete would free another
// sidecar's use.
func TestGiveBack_NeverFreesAnothersUse(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"gets", "cas"} {
		synctest.Test(t, func(t *testing.T) {
			f := setup(t)
			spent, ok, err := f.slot.Spend(memcache.MarkBudget, 1, time.Minute)
			require.NoError(t, err)
			require.True(t, ok)
			f.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
				if c.Verb == verb {
					f.Put("wx1:budget:0", "another", 0, 60)
				}
				return memcachetest.None
			})
			require.NoError(t, f.slot.GiveBack(spent), verb)
			item, _ := f.Peek("wx1:budget:0")
			assert.Equal(t, "another", item.Value, verb)
			assert.Zero(t, f.Count("delete"), verb)
		})
	}
}

// A zero Spent is none: GiveBack asks memcached nothing.
func TestGiveBack_ZeroDoesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		require.NoError(t, f.slot.GiveBack(memcache.Spent{}))
		assert.Zero(t, f.Count(""))
	})
}

// A failure of memcached is reported, and the use stays.
func TestGiveBack_ReportsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		spent, ok, err := f.slot.Spend(memcache.MarkBudget, 1, time.Minute)
		require.NoError(t, err)
		require.True(t, ok)
		failing(f, "gets", nil, memcachetest.ServerError)
		assertFailure(t, f.slot.GiveBack(spent))
		_, there := f.Peek("wx1:budget:0")
		assert.True(t, there)
	})
}

// If the server refuses cas alone, GiveBack deletes the use.
func TestGiveBack_WithoutCas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		spent, ok, err := f.slot.Spend(memcache.MarkBudget, 1, time.Minute)
		require.NoError(t, err)
		require.True(t, ok)
		failing(f, "cas", nil, memcachetest.ServerError)
		require.NoError(t, f.slot.GiveBack(spent))
		_, there := f.Peek("wx1:budget:0")
		assert.False(t, there)
	})
}

// Each day has its own count, which outlives the day.
func TestCountRequest_CountsByDay(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		for want := 1; want <= 3; want++ {
			n := must(slotOf(t, s.Store).CountRequest(20261123))(t)
			require.Equal(t, want, n)
		}
		n := must(slotOf(t, s.Store).CountRequest(20261124))(t)
		assert.Equal(t, 1, n)
		s.assertItem(t, "wx1:requests:20261123", "3", 26*3600)
	})
}
