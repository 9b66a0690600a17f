package memcache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// A mark that lives for ever is replaced once it has outlived its longest life, seen from
// the first attempt that it stopped. Every mark counts again from then on.
func TestMark_ForEverIsReplaced(t *testing.T) {
	t.Parallel()
	for name, life := range map[memcache.MarkName]time.Duration{
		memcache.MarkReportThrottle: 31 * time.Second,
		memcache.MarkForceRefresh:   75 * time.Minute,
		memcache.MarkPlanned:        28 * time.Minute,
		memcache.MarkQuotaRead:      58 * time.Minute,
		memcache.MarkTokenReport:    50 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			fake := memcachetest.New()
			defer func() { assert.NoError(t, fake.Close()) }()
			var replaced []string
			slot := slotOf(t, open(t, memcache.Config{Dial: fake.Dial, Overlong: func(key string) { replaced = append(replaced, key) }}))
			key := "wx1:" + string(name)
			fake.Put(key, memcache.NewID(), 0, 0)
			mark := func() bool { return must(slot.Mark(name, life))(t) }

			assert.False(t, mark(), "first seen now")
			time.Sleep(life + time.Second)
			assert.False(t, mark(), "memcached's clock has whole seconds")
			assert.Empty(t, replaced)
			time.Sleep(1100 * time.Millisecond)
			assert.True(t, mark())
			assert.Equal(t, []string{key}, replaced)
			assert.False(t, mark(), "it is a mark now")
			time.Sleep(life + time.Second)
			assert.True(t, mark(), "and ends as one")
			assert.Len(t, replaced, 1)
		})
	}
}

// A mark of another sidecar, whose id changes, is never replaced.
func TestMark_OfOthersStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		other := slotOf(t, f.store)
		marked := 0
		for range 300 {
			if must(other.Mark(memcache.MarkReportThrottle, 31*time.Second))(t) {
				marked++
			}
			assert.False(t, must(f.slot.Mark(memcache.MarkReportThrottle, 31*time.Second))(t))
			time.Sleep(10 * time.Second)
		}
		assert.Equal(t, 75, marked, "one in 40 s: memcached has forgotten it after four attempts")
	})
}

// A mark whose value no sidecar writes is replaced at once, and so is a use of the
// budget.
func TestMark_NotAnIDIsReplaced(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		for _, value := range []string{"1", "", "true", "0F1E2D3C4B5A69788796A5B4C3D2E1F0", "{}", "0f1e2d3c4b5a69788796a5b4c3d2e1f00"} {
			s.put(t, "wx1:report_throttle", value, 0)
			require.True(t, must(s.slot.Mark(memcache.MarkReportThrottle, 31*time.Second))(t), "%q", value)
			i, _ := s.peek(t, "wx1:report_throttle")
			s.assertItem(t, "wx1:report_throttle", i.value, 31)
			require.False(t, must(s.slot.Mark(memcache.MarkReportThrottle, 31*time.Second))(t), "%q", value)
			s.remove(t, "wx1:report_throttle")
		}
		s.put(t, "wx1:budget:0", "1", 0)
		spent, ok, err := s.slot.Spend(memcache.MarkBudget, 1, 10*time.Minute)
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, s.slot.GiveBack(spent))
	})
}
