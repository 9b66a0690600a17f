package keeper_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// Config.Changed is called for each credential that is held from now on.
func TestChanged_EveryNewCredential(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		heard := make(chan keeper.Change, 100)
		h.config.Changed = func(c keeper.Change) { heard <- c }
		first := h.another()
		require.NoError(t, first.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		second := h.another()
		require.NoError(t, second.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		began := time.Now()

		require.Len(t, heard, 2, "each is notified once")
		own, others := <-heard, <-heard
		assert.True(t, own.Own && !others.Own, "one of them fetched it")
		grant, err := first.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		for _, c := range []keeper.Change{own, others} {
			same := c.Value == grant.Value
			assert.True(t, same, "what is given")
			assert.Equal(t, "wx1", c.AppID)
			assert.Equal(t, memcache.AccessToken, c.Kind)
			assert.Equal(t, own.Number, c.Number)
			assert.WithinDuration(t, began.Add(2*time.Hour), c.Expires, time.Second)
		}

		time.Sleep(50 * time.Minute)
		assert.Empty(t, heard, "nothing while nothing changes")
		time.Sleep(10 * time.Minute)
		require.Len(t, heard, 2, "a renewal, by one and seen by the other")
		third, fourth := <-heard, <-heard
		assert.NotEqual(t, third.Own, fourth.Own)
		assert.Greater(t, third.Number, own.Number)
	})
}

// A goroutine that is held up while it notifies of a change does not let a later change
// pass: a mirror would write the older token last.
func TestChanged_InOrder(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		var first atomic.Bool
		heard := make(chan int64, 100)
		h.config.Changed = func(c keeper.Change) {
			if first.CompareAndSwap(false, true) {
				time.Sleep(56 * time.Minute) // until the token is renewed
			}
			heard <- c.Number
		}
		require.NoError(t, h.another().SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		var numbers []int64
		for len(heard) > 0 {
			numbers = append(numbers, <-heard)
		}
		assert.Greater(t, len(numbers), 1)
		assert.IsIncreasing(t, numbers)
	})
}
