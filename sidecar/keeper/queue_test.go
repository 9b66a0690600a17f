package keeper_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// keepMany has the house keep wx1 to wx<n>.
func (h *house) keepMany(n int) {
	h.t.Helper()
	var accounts []keeper.Account
	for i := range n {
		appID := fmt.Sprintf("wx%d", i+1)
		h.wechat.AddAccount(appID, simSecret)
		accounts = append(accounts, account(appID))
	}
	require.NoError(h.t, h.group.SetAccounts(accounts))
}

func TestAStartWithManyAccountsCallsFiftyTimesASecondAndWhoWaitsGoesFirst(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		h.keepMany(1000)
		time.Sleep(4 * time.Second)
		assert.InDelta(t, 200, h.wechat.Issues(""), 25)
		start, before := time.Now(), h.wechat.Issues("")
		for _, state := range h.group.States() {
			if !state.Valid {
				_, err := h.group.Token(t.Context(), state.AppID, memcache.AccessToken)
				require.NoError(t, err)
				break
			}
		}
		assert.Less(t, time.Since(start), 100*time.Millisecond, "it did not queue")
		assert.LessOrEqual(t, h.wechat.Issues("")-before, 10, "the others did")
		time.Sleep(20 * time.Second)
		assert.Equal(t, 1000, h.wechat.Issues(""))
	})
}

func TestASidecarThatStopsLeavesItsQueue(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		h.keepMany(1000)
		time.Sleep(time.Second)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		h.group.Close(ctx)
		assert.Less(t, time.Since(start), 100*time.Millisecond)
		assert.Less(t, h.wechat.Issues(""), 150)
	})
}

func TestAStartWithManyAccountsSaysHowFarItIs(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		h.wechat.OnCall(func(c wechattest.Call) wechattest.Answer {
			if c.AppID == "wx7" {
				return wechattest.Answer{Errcode: 40125}
			}
			return wechattest.Answer{}
		})
		h.keepMany(2000)
		time.Sleep(16 * time.Second)
		logs := h.logs.String()
		assert.Contains(t, logs, "fetching what memcached does not hold")
		assert.Contains(t, logs, `"waiting":1`, "of more than a thousand")
		time.Sleep(time.Minute)
		logs = h.logs.String()
		assert.Contains(t, logs, `"msg":"everything has been fetched or tried","held":1999,"failed":1`)
		lines := strings.Count(logs, "everything has been fetched")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, lines, strings.Count(h.logs.String(), "everything has been fetched"), "told once")
	})
}

func TestAStartWithOneAccountHasNothingToSay(t *testing.T) {
	inHouse(t, func(h *house) {
		require.NoError(h.t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(time.Minute)
		assert.NotContains(h.t, h.logs.String(), "fetched or tried")
	})
}

func TestWhoAdoptsAtItsStartKnowsAtOnceThatItIsPublished(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		h.wechat.OnCall(func(wechattest.Call) wechattest.Answer { return wechattest.Answer{Delay: time.Second} })
		other := h.another()
		for _, group := range []*keeper.Group{h.group, other} {
			require.NoError(t, group.SetAccounts([]keeper.Account{account("wx1")}))
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		assert.True(t, h.group.States()[0].Published)
		assert.True(t, other.States()[0].Published, "/startupz waits for it")
		assert.Equal(t, 1, h.wechat.Calls("", ""))
	})
}

func TestAnEntryOutlivesAnOutageOfWeChatAndIsWrittenOnceAMinute(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		fleet := []*keeper.Group{h.group, h.another(), h.another(), h.another()}
		for _, group := range fleet {
			require.NoError(t, group.SetAccounts([]keeper.Account{account("wx1")}))
		}
		time.Sleep(54 * time.Minute)
		h.wechat.FailAll(-1)
		time.Sleep(3 * time.Minute)
		version := func() uint64 {
			item, ok := h.memcached.Peek("wx1")
			assert.True(t, ok, "the entry is there")
			return item.CAS
		}
		writes, asked, last := 0, h.memcached.Count("gets"), version()
		for range 600 {
			time.Sleep(time.Second)
			if now := version(); now != last {
				writes, last = writes+1, now
			}
		}
		assert.InDelta(t, 9, writes, 2, "in ten minutes, by four sidecars")
		assert.Less(t, h.memcached.Count("gets")-asked, 430, "nobody asks for the wait at every look: 540 then")
		time.Sleep(45 * time.Minute)
		version()
		h.wechat.Heal()
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 2, h.wechat.Issues("wx1"))
	})
}
