package keeper_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/entries"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// entry returns the value of wx1's entry.
func (h *fixture) entry() string {
	item, _ := h.memcached.Peek("wx1")
	return item.Value
}

// The next poll replaces any damage without a request, also when it is written again at
// once: no value of the table's counts as a token that another program fetched.
func TestDamage_ReplacedWithoutRequest(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		token, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		for _, value := range entries.Values(t) {
			if value.Valid {
				continue
			}
			for range 2 {
				h.memcached.Put("wx1", value.Text, uint32(value.Flags), 3600)
				time.Sleep(15 * time.Second)
				assert.Equal(t, token.Value, h.entry(), value.Name)
			}
		}
		assert.Equal(t, 1, h.wechat.Requests("", ""))
		assert.NotContains(t, h.logs.String(), "external")
		state := h.group.States()[0]
		assert.Zero(t, state.Counts.ExternalTokens)
	})
}

// If WeChat changes the form of its tokens, sidecars keep such a token in the entry and
// give it to their callers. Only apps do not take it from there, so a warning says so.
func TestDamage_NotWhatTheRecordKnows(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		const odd = "canarytoken#of{another}form"
		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer {
			return wechattest.Answer{Kind: wechattest.Raw, Status: 200, Body: `{"access_token":"` + odd + `","expires_in":7200}`}
		})
		for _, group := range []*keeper.Group{h.group, h.another()} {
			require.NoError(t, group.SetAccounts([]keeper.Account{account("wx1")}))
			token, err := group.Token(t.Context(), "wx1", memcache.AccessToken)
			require.NoError(t, err)
			assert.Equal(t, odd, token.Value)
		}
		assert.Equal(t, 1, strings.Count(h.logs.String(), `"msg":"credential of an unknown form received"`))
		assert.NotContains(t, h.logs.String(), odd)

		time.Sleep(time.Minute)
		before, _ := h.memcached.Peek("wx1")
		time.Sleep(5 * time.Minute)
		after, _ := h.memcached.Peek("wx1")
		assert.Equal(t, odd, after.Value)
		assert.Equal(t, before.CAS, after.CAS, "no poll writes it again")
		assert.Equal(t, 1, h.wechat.Requests("", ""))

		record, _ := h.memcached.Peek("wx1:record")
		var there memcache.Record
		require.NoError(t, json.Unmarshal([]byte(record.Value), &there))
		assert.Equal(t, odd, there.Token)
	})
}
