package memcache_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// All sidecars count what they sent in one number, for each API apart.
func TestCountSent_OfAllSidecars(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		other := slotOf(t, open(t, s.config))
		first := must(s.slot.CountSent("token", 0))(t)
		assert.Equal(t, int64(0), first%1_000_000)
		assert.WithinDuration(t, time.Now(), time.Unix(first/1_000_000, 0), 5*time.Second)
		assert.Equal(t, first+3, must(other.CountSent("token", 3))(t))
		assert.Equal(t, first+4, must(s.slot.CountSent("token", 1))(t))
		assert.Equal(t, first+4, must(other.CountSent("token", 0))(t))
		n, ok := memcache.SentSince(first, first+4)
		assert.True(t, ok)
		assert.Equal(t, 4, n)
		assert.Equal(t, int64(2), must(s.slot.CountSent("stable_token", 2))(t)%1_000_000)
		i, _ := s.peek(t, "wx1:sent:token")
		assert.Regexp(t, `^[0-9]{16} *$`, i.value)
	})
}

// A number that memcached has lost is noticed, however far the new one has come.
func TestSentSince_LostNumber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		before := must(f.slot.CountSent("token", 7))(t)
		f.Flush()
		time.Sleep(time.Second)
		for _, n := range []int{0, 7, 100} {
			_, ok := memcache.SentSince(before, must(f.slot.CountSent("token", n))(t))
			assert.False(t, ok)
		}
		_, ok := memcache.SentSince(before, before-1)
		assert.False(t, ok)
		_, ok = memcache.SentSince(0, before)
		assert.False(t, ok, "it could not be read")
	})
}

// If memcached fails, nothing is counted, and the caller knows.
func TestCountSent_MemcachedFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.SetFault(memcachetest.ServerError)
		_, err := f.slot.CountSent("token", 1)
		require.Error(t, err)
		f.SetFault(memcachetest.None)
		assert.Equal(t, int64(0), must(f.slot.CountSent("token", 0))(t)%1_000_000)
	})
}

// A reading that no sidecar can have written is none, and is replaced.
func TestQuota_WrittenByHand(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		assert.Nil(t, must(slot.Quota("token"))(t))
		for _, value := range []string{
			"", "null", "x", "[]", `{"v":1,"at":0,"used":1,"limit":2}`, `{"v":1,"at":1,"used":-1,"limit":2}`, `{"v":1,"at":1,"used":1,"limit":-2}`,
			`{"v":1,"at":1,"used":1e99}`, `{"v":1,"at":1,"sent":-1}`, `{"v":1,"at":1,"external":-1}`, `{"v":1,"at":1,"since":9223372036854775807}`,
			`{"v":1,"at":1,"by":"` + strings.Repeat("x", 5000) + `"}`,
		} {
			s.put(t, "wx1:quota:token", value, 0)
			assert.Nil(t, must(slot.Quota("token"))(t), value)
		}
		require.NoError(t, slot.PutQuota("token", &memcache.Quota{V: 1, At: 2}))
		assert.Equal(t, &memcache.Quota{V: 1, At: 2}, must(slot.Quota("token"))(t))
		s.put(t, "wx1:quota:token", `{"v":2,"at":3,"used":4,"limit":5,"new":{}}`, 0)
		assert.Equal(t, &memcache.Quota{V: 2, At: 3, Used: 4, Limit: 5}, must(slot.Quota("token"))(t), "of a newer version")
	})
}
