package memcache_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

var badIP = memcache.Cooldown{
	Class: "person", ErrCode: 40164, Secret: "1f3870be", Until: 1763811960,
}

// A failed request turns the lease into a cooldown with the reason.
func TestCoolDown_SaysWhy(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		lease := must(slot.TakeLease())(t)
		require.NoError(t, lease.CoolDown(badIP, 61*time.Second+1))
		s.assertItem(t, "wx1:lease",
			`{"cooldown":"person","errcode":40164,"secret":"1f3870be","until":1763811960}`, 61)
		seen := must(slot.Lease())(t)
		assert.False(t, seen.Held)
		require.NotNil(t, seen.Cooldown)
		assert.Equal(t, badIP, *seen.Cooldown)

		_, err := slot.TakeLease()
		require.ErrorIs(t, err, memcache.ErrHeld, "the fleet cools down")
		require.ErrorIs(t, lease.Verify(), memcache.ErrLost, "it is no lease any more")
		assert.ErrorIs(t, lease.Release(), memcache.ErrLost)
	})
}

// A sidecar with another AppSecret takes a cooldown over, and only one does.
func TestTakeOver_Once(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		lease := must(slot.TakeLease())(t)
		held := must(slot.Lease())(t)
		require.NoError(t, lease.CoolDown(badIP, time.Hour))
		cooling := must(slot.Lease())(t)

		_, err := slot.TakeOver(held)
		require.ErrorIs(t, err, memcache.ErrHeld, "seen before the cooldown")
		mine := must(slot.TakeOver(cooling))(t)
		require.NoError(t, mine.Verify())
		i, _ := s.peek(t, "wx1:lease")
		s.assertItem(t, "wx1:lease", i.value, 15)
		_, err = slot.TakeOver(cooling)
		require.ErrorIs(t, err, memcache.ErrHeld, "another sidecar was faster")
		require.NoError(t, mine.Release())
		_, err = slot.TakeOver(cooling)
		require.ErrorIs(t, err, memcache.ErrHeld, "what was seen is gone")
		_, err = slot.TakeOver(memcache.LeaseSeen{})
		assert.NoError(t, err, "a free one is taken by add")
	})
}

// A cooldown lasts whole seconds, at least one and at most 30 days.
func TestCoolDown_AtLeastASecond(t *testing.T) {
	t.Parallel()
	for d, exptime := range map[time.Duration]time.Duration{
		-time.Hour: time.Second, 0: time.Second, 900 * time.Millisecond: time.Second, 1999 * time.Millisecond: time.Second,
		2 * time.Second: 2 * time.Second, 6 * time.Hour: 6 * time.Hour, 90 * 24 * time.Hour: 30 * 24 * time.Hour,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := setup(t)
			lease := must(f.slot.TakeLease())(t)
			require.NoError(t, lease.CoolDown(badIP, d))
			item, there := f.Peek("wx1:lease")
			require.True(t, there)
			assert.Equal(t, exptime, time.Until(item.Expires), d)
			time.Sleep(exptime)
			seen := must(f.slot.Lease())(t)
			assert.Equal(t, memcache.LeaseSeen{}, seen)
		})
	}
}

// Every value that is not a cooldown counts as a held lease.
func TestLease_AnyOtherValueIsHeld(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		for _, value := range []string{
			"", "1", token1, `"person"`, `{}`, `{"cooldown":""}`, `{"cooldown":1}`, `{"cooldown":"person"`, `{"cooldown":"person"} x`, `[{"cooldown":"person"}]`,
			`{"cooldown":"person","secret":"` + strings.Repeat("x", 4096) + `"}`,
		} {
			s.put(t, "wx1:lease", value, 0)
			seen := must(slot.Lease())(t)
			assert.True(t, seen.Held, value)
			assert.Nil(t, seen.Cooldown, value)
			_, err := slot.TakeLease()
			assert.ErrorIs(t, err, memcache.ErrHeld)
		}
	})
}
