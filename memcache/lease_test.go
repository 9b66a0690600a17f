package memcache_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// One of many sidecars gets the lease.
func TestTakeLease_OneOfMany(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		const takers = 50
		leases := make(chan *memcache.Lease, takers)
		var all sync.WaitGroup
		for range takers {
			slot := slotOf(t, open(t, s.config)) // another sidecar
			all.Go(func() {
				lease, err := slot.TakeLease()
				if err == nil {
					leases <- lease
					return
				}
				if assert.ErrorIs(t, err, memcache.ErrHeld) {
					assert.Nil(t, lease)
				}
			})
		}
		all.Wait()
		require.Len(t, leases, 1)
		lease := <-leases
		require.NoError(t, lease.Verify())
		i, there := s.peek(t, "wx1:lease")
		require.True(t, there)
		assert.Regexp(t, `^[0-9a-f]{32}$`, i.value, "a random id")
		s.assertItem(t, "wx1:lease", i.value, 15)
		seen := must(slotOf(t, s.Store).Lease())(t)
		assert.True(t, seen.Held)
		assert.Nil(t, seen.Cooldown)
	})
}

// A released lease is free at once, and its holder has lost it.
func TestRelease_FreesTheLeaseAtOnce(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		var ids []string
		for range 3 {
			lease := must(slot.TakeLease())(t)
			i, _ := s.peek(t, "wx1:lease")
			ids = append(ids, i.value)
			require.NoError(t, lease.Release())
			seen := must(slot.Lease())(t)
			require.Equal(t, memcache.LeaseSeen{}, seen)
			require.ErrorIs(t, lease.Verify(), memcache.ErrLost)
			require.ErrorIs(t, lease.Release(), memcache.ErrLost, "twice")
			require.ErrorIs(t, lease.CoolDown(memcache.Cooldown{Class: "person"}, time.Minute), memcache.ErrLost)
		}
		assert.NotEqual(t, ids[0], ids[1], "a fresh id for every attempt")
		assert.NotEqual(t, ids[1], ids[2])
	})
}

// The holder of a lost lease does not change the next lease.
func TestRelease_LeavesTheNextLease(t *testing.T) {
	onEach(t, func(s *server) {
		t, slot := s.t, s.slot
		lost := must(slot.TakeLease())(t)
		s.remove(t, "wx1:lease")
		require.ErrorIs(t, lost.Verify(), memcache.ErrLost, "nobody's")
		require.ErrorIs(t, lost.Release(), memcache.ErrLost)
		next := must(slot.TakeLease())(t)
		require.ErrorIs(t, lost.Verify(), memcache.ErrLost, "another's")
		require.ErrorIs(t, lost.Release(), memcache.ErrLost)
		require.ErrorIs(t, lost.CoolDown(memcache.Cooldown{Class: "person"}, time.Minute), memcache.ErrLost)
		assert.NoError(t, next.Verify())
	})
}

// The race in Release's comment: the lease changes hands after A has read it as A's own.
// A delete would end B's lease.
func TestRelease_LeaseChangesHands(t *testing.T) {
	t.Parallel()
	for name, giveBack := range map[string]func(*memcache.Lease) error{
		"Release":  func(l *memcache.Lease) error { return l.Release() },
		"CoolDown": func(l *memcache.Lease) error { return l.CoolDown(memcache.Cooldown{Class: "person"}, time.Hour) },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := setup(t)
			a := must(f.slot.TakeLease())(t)
			var b *memcache.Lease
			var err error
			f.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
				if c.Verb == "cas" {
					f.Evict("wx1:lease")
					b, err = f.slot.TakeLease()
				}
				return memcachetest.None
			})
			require.ErrorIs(t, giveBack(a), memcache.ErrLost, name)
			require.NoError(t, err)
			require.NotNil(t, b, name)
			assert.NoError(t, b.Verify(), name)
		})
	}
}

// Release never sends a delete.
func TestRelease_NeverDeletes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		lease := must(f.slot.TakeLease())(t)
		require.NoError(t, lease.Release())
		assert.Zero(t, f.Count("delete"))
		assert.Empty(t, f.Keys())
	})
}

// memcached ends a lease after 14 to 15 seconds.
func TestLease_EndsAfter14To15Seconds(t *testing.T) {
	t.Parallel()
	for _, phase := range []time.Duration{0, 1, time.Second / 2, time.Second - 1} {
		synctest.Test(t, func(t *testing.T) {
			f := setup(t)
			time.Sleep(phase) // on memcached's clock of whole seconds
			lease := must(f.slot.TakeLease())(t)
			time.Sleep(memcache.LeaseUse - 1)
			require.NoError(t, lease.Verify(), "the holder's last moment")
			_, err := f.slot.TakeLease()
			require.ErrorIs(t, err, memcache.ErrHeld)
			time.Sleep(time.Second + 1)
			_, err = f.slot.TakeLease()
			assert.NoError(t, err, "15 s are over: free for the next")
		})
	}
}

// The holder counts on 14 seconds, even if memcached has the lease for longer.
func TestLease_HolderCountsOn14Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		lease := must(f.slot.TakeLease())(t)
		require.Equal(t, 14*time.Second, lease.Left())
		time.Sleep(3 * time.Second)
		require.Equal(t, 11*time.Second, lease.Left())
		time.Sleep(11 * time.Second)
		require.Zero(t, lease.Left())
		item, there := f.Peek("wx1:lease")
		require.True(t, there, "memcached still has it")
		require.ErrorIs(t, lease.Verify(), memcache.ErrLost)
		require.ErrorIs(t, lease.CoolDown(memcache.Cooldown{Class: "person"}, time.Hour), memcache.ErrLost)
		now, _ := f.Peek("wx1:lease")
		require.Equal(t, item, now, "and it is unchanged")
		require.NoError(t, lease.Release(), "so that no sidecar waits for it")
		_, there = f.Peek("wx1:lease")
		assert.False(t, there)
	})
}

// The 14 seconds begin before the add is sent.
func TestLease_CountsFromBeforeTheAdd(t *testing.T) {
	t.Parallel()
	for _, fault := range []memcachetest.Fault{memcachetest.Slow, memcachetest.HangAfter} {
		synctest.Test(t, func(t *testing.T) {
			f := setup(t)
			f.SetDelay(150 * time.Millisecond)
			f.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
				if c.Verb == "add" {
					return fault
				}
				return memcachetest.None
			})
			began := time.Now()
			lease := must(f.slot.TakeLease())(t)
			require.GreaterOrEqual(t, time.Since(began), 150*time.Millisecond)
			assert.Equal(t, memcache.LeaseUse-time.Since(began), lease.Left())
		})
	}
}
