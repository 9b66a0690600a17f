package keeper_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/entries"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
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

// A hand says of each record that WeChat returned its token again, with little life left, and
// deletes the marks. The process sends no more than its budget, and the last planned request.
func TestDamage_ForgedAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		_, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		for i := range 600 {
			now := time.Now()
			forged, err := json.Marshal(memcache.Record{
				V: 1, Token: fmt.Sprintf("canarytoken-forged-%d", i), Number: now.Add(time.Hour).UnixMilli(), API: "token",
				Issued: now.Add(-130 * time.Second).Unix(), Expires: now.Add(70 * time.Second).Unix(), Age: 130, Again: true,
			})
			require.NoError(t, err)
			for _, key := range h.memcached.Keys() {
				h.memcached.Evict(key)
			}
			h.memcached.Put("wx1:record", string(forged), 0, 0)
			time.Sleep(time.Second)
			_, _ = h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		}
		assert.LessOrEqual(t, h.wechat.Requests("", ""), protocol.Budget+1)
	})
}

// A hand deletes the mark of each report. The process checks a token once in 30 s, and logs a
// used-up budget once a minute.
func TestDamage_DeletedMarksOfReports(t *testing.T) {
	t.Parallel()
	for kept, most := range map[string]struct{ checks, requests, lines int }{
		"wx1:recent_report": {21, 2, 0}, "": {0, protocol.Budget, 10},
	} {
		inBubble(t, func(h *fixture) {
			t := h.t
			h.ofOne(wechat.Token)
			for range 6000 {
				_, _ = report(t.Context(), h.group, h.token())
				for _, key := range h.memcached.Keys() {
					if key != kept && key != "wx1" && key != "wx1:record" {
						h.memcached.Evict(key)
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
			assert.LessOrEqual(t, h.wechat.Checks(), most.checks, kept)
			assert.LessOrEqual(t, h.wechat.Requests("", ""), most.requests, kept)
			assert.LessOrEqual(t, strings.Count(h.logs.String(), "renewal refused by the budget"), most.lines, kept)
		})
	}
}
