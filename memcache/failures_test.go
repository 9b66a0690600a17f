package memcache_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// Tries are counted until they are forgotten.
func TestCountFailure_UntilForgotten(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for range 2 {
			require.NoError(t, slot.ForgetFailures(), "also if there are none")
			for want := 1; want <= 12; want++ { // the number gets longer on its way
				n := must(slot.CountFailure())(t)
				require.Equal(t, want, n)
			}
			s.assertItem(t, "wx1:failures", "12", 3600)
			require.NoError(t, slot.ForgetFailures())
		}
		_, there := s.peek(t, "wx1:failures")
		assert.False(t, there)
	})
}

// Every try of every sidecar counts.
func TestCountFailure_OfManySidecars(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		const tries = 40
		counted := make(chan int, tries)
		var all sync.WaitGroup
		for range tries {
			all.Go(func() {
				n, err := slotOf(t, s.Store).CountFailure()
				assert.NoError(t, err)
				counted <- n
			})
		}
		all.Wait()
		close(counted)
		seen := map[int]bool{}
		for n := range counted {
			seen[n] = true
		}
		assert.Len(t, seen, tries)
		assert.True(t, seen[1] && seen[tries], "from 1 without a gap")
	})
}

// The count ends an hour after its first try.
func TestCountFailure_EndsAfterAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		_ = must(f.slot.CountFailure())(t)
		time.Sleep(time.Hour - 1)
		n := must(f.slot.CountFailure())(t)
		require.Equal(t, 2, n)
		time.Sleep(time.Nanosecond)
		n = must(f.slot.CountFailure())(t)
		assert.Equal(t, 1, n)
	})
}

// A try counts even if memcached loses the counter in between.
func TestCountFailure_CounterLostInBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "incr" {
				f.Flush()
			}
			return memcachetest.None
		})
		n := must(f.slot.CountFailure())(t)
		assert.Equal(t, 1, n)
	})
}

// A counter that is not a number is a failure.
func TestCountFailure_NotANumber(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		s.put(t, "wx1:failures", token1, 0)
		_, err := slot.CountFailure()
		assertFailure(t, err)
		s.put(t, "wx1:failures", "18446744073709551614", 0)
		n := must(slot.CountFailure())(t)
		assert.Equal(t, 1<<30, n, "no overflow")
	})
}
