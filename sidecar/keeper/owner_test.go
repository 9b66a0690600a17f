package keeper_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// give is the token that a group gives.
func give(t *testing.T, group *keeper.Group, appID string) string {
	t.Helper()
	grant, err := group.Token(t.Context(), appID, memcache.AccessToken)
	require.NoError(t, err)
	return grant.Value
}

// assertOwner asserts whose a token is.
func assertOwner(t *testing.T, group *keeper.Group, token, appID string, proven bool, claim string) {
	t.Helper()
	owner, inFull := group.OwnerOf(t.Context(), token)
	assert.Equal(t, appID, owner, claim)
	assert.Equal(t, proven, inFull, claim)
}

// A token belongs to its account, and so does the previous one within its grace period.
func TestOwnerOf_CurrentAndPrevious(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1"), account("wx2")}))
		first, other := give(t, h.group, "wx1"), give(t, h.group, "wx2")
		assertOwner(t, h.group, first, "wx1", true, "current")
		assertOwner(t, h.group, other, "wx2", true, "current")
		assertOwner(t, h.group, first+"x", "", false, "unknown")
		assertOwner(t, h.group, "", "", false, "no token")

		second, err := h.group.Refresh(t.Context(), "wx1", memcache.AccessToken, first)
		require.NoError(t, err)
		assertOwner(t, h.group, second.Value, "wx1", true, "current")
		assertOwner(t, h.group, first, "wx1", true, "the one before")
		time.Sleep(290 * time.Second)
		assertOwner(t, h.group, first, "wx1", true, "the one before, in its grace")
		time.Sleep(11 * time.Second)
		assertOwner(t, h.group, first, "", false, "the previous one, expired")

		h.wechat.FetchExternally("wx1")
		h.wechat.FetchExternally("wx1") // the second ends the grace period of the first
		third, err := h.group.Refresh(t.Context(), "wx1", memcache.AccessToken, second.Value)
		require.NoError(t, err)
		assertOwner(t, h.group, first, "", false, "two before")
		assertOwner(t, h.group, second.Value, "wx1", true, "the one before")

		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx2")}))
		assertOwner(t, h.group, third.Value, "", false, "its account is gone")
		assertOwner(t, h.group, other, "wx2", true, "its account stays")
	})
}

// An expired token has no owner.
func TestOwnerOf_ExpiredToken(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		token := give(t, h.group, "wx1")
		h.wechat.FailAll(-1)
		time.Sleep(2*time.Hour - 10*time.Second)
		assertOwner(t, h.group, token, "wx1", true, "alive to the end, though WeChat is out of order")
		time.Sleep(10 * time.Second)
		assertOwner(t, h.group, token, "", false, "expired")
	})
}

// OwnerOf finds a token that another sidecar fetched a moment ago.
func TestOwnerOf_FetchedAMomentAgo(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		first := give(t, h.group, "wx1")
		second := h.another()
		require.NoError(t, second.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		assertOwner(t, second, first, "wx1", true, "seen")
		renewed, err := h.group.Refresh(t.Context(), "wx1", memcache.AccessToken, first)
		require.NoError(t, err)
		assertOwner(t, second, renewed.Value, "wx1", true, "before its next poll")
		assertOwner(t, second, first, "wx1", true, "the one before")
	})
}

// A token that was replaced before the sidecar started is known by its fingerprint, not
// proven.
func TestOwnerOf_ByFingerprint(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		first := give(t, h.group, "wx1")
		_, err := h.group.Refresh(t.Context(), "wx1", memcache.AccessToken, first)
		require.NoError(t, err)
		late := h.another()
		require.NoError(t, late.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		assertOwner(t, late, first, "wx1", false, "the one before, which this sidecar never held")
		time.Sleep(301 * time.Second)
		assertOwner(t, late, first, "", false, "the previous one, expired")
	})
}

// Unknown tokens cause one survey a second at most, and no request.
func TestOwnerOf_UnknownTokensArePaced(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		give(t, h.group, "wx1")
		synctest.Wait()
		polls := h.memcached.Count("gets")
		for range 1000 {
			assertOwner(t, h.group, "nobodys-token", "", false, "unknown")
			time.Sleep(10 * time.Millisecond)
		}
		assert.InDelta(t, 11, h.memcached.Count("gets")-polls, 1, "in ten seconds, the group's own included")
		assert.Equal(t, 1, h.wechat.Requests("", ""))
	})
}

// A memcached that hangs does not keep callers waiting.
func TestOwnerOf_MemcachedHangs(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		token := give(t, h.group, "wx1")
		h.memcached.SetFault(memcachetest.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		start := time.Now()
		owner, _ := h.group.OwnerOf(ctx, "nobodys-token")
		assert.Empty(t, owner)
		assert.Equal(t, 10*time.Millisecond, time.Since(start), "as long as the caller is patient")
		assertOwner(t, h.group, token, "wx1", true, "from memory")
		assert.Equal(t, 10*time.Millisecond, time.Since(start), "at once")
		h.memcached.SetFault(memcachetest.None)
	})
}

// BenchmarkOwnerOf searches for an unknown token: all are compared.
func BenchmarkOwnerOf(b *testing.B) {
	for _, accounts := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("%d", accounts), func(b *testing.B) {
			group := manyAccounts(b, accounts)
			unknown := "90_canarytoken" + strings.Repeat("x", 122)
			b.ReportAllocs()
			for b.Loop() {
				if owner, _ := group.OwnerOf(b.Context(), unknown); owner != "" {
					b.Fatal("an account owns it")
				}
			}
		})
	}
}

// manyAccounts is a group that has taken all its tokens from memcached.
func manyAccounts(b *testing.B, n int) *keeper.Group {
	b.Helper()
	memcached := memcachetest.New()
	b.Cleanup(func() { _ = memcached.Close() })
	store, err := memcache.New(memcache.Config{Dial: memcached.Dial, Timeout: 5 * time.Second})
	require.NoError(b, err)
	b.Cleanup(func() { _ = store.Close() })
	calls, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1:1"}})
	require.NoError(b, err)
	now := time.Now().Unix()
	accounts := make([]keeper.Account, n)
	for i := range accounts {
		accounts[i] = account(fmt.Sprintf("wx%016d", i))
		record := memcache.Record{
			Token: fmt.Sprintf("90_canarytoken%0122d", i), Number: now * 1000, Issued: now, Expires: now + 7200, API: "token",
			Past: []string{"00000000"},
		}
		text, err := json.Marshal(record)
		require.NoError(b, err)
		memcached.Put(accounts[i].AppID+":record", string(text), 0, 7000)
	}
	group := keeper.New(keeper.Config{Store: store, WeChat: calls})
	b.Cleanup(func() { group.Close(context.Background()) })
	require.NoError(b, group.SetAccounts(accounts))
	require.Eventually(b, func() bool {
		_, found := group.OwnerOf(b.Context(), fmt.Sprintf("90_canarytoken%0122d", n-1))
		for _, state := range group.States() {
			found = found && state.Valid
		}
		return found
	}, time.Minute, 10*time.Millisecond)
	return group
}
